//! `GET /api/telegram-chats[?bot_id=]`: where the tenant's bots are members, for choosing a working group.

use super::auth::Tenant;
use super::extract::Params;
use super::{AppState, Problem};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tuberry_domain::BotId;
use tuberry_storage::telegram_chats::{self, TelegramChat};

#[derive(Debug, Deserialize)]
pub(super) struct Filter {
    bot_id: Option<i32>,
}

/// At most 500, current memberships first.
pub(super) async fn list(
    State(state): State<AppState>,
    tenant: Tenant,
    Params(filter): Params<Filter>,
) -> Result<Json<Vec<TelegramChat>>, Problem> {
    let bot = filter.bot_id.map(BotId);
    if let Some(bot) = bot {
        let known = tuberry_storage::bots::find(state.store.pool(), tenant.client, bot).await?;
        known.ok_or_else(|| Problem::not_found("Бот не найден"))?;
    }
    Ok(Json(telegram_chats::list(state.store.pool(), tenant.client, bot).await?))
}

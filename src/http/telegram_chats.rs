//! `GET /api/telegram-chats[?bot_id=]`: where the tenant's bots are members, for choosing a working group.

use super::auth::Tenant;
use super::extract::{Params, RowId};
use super::{AppState, Problem};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tuberry_domain::BotId;
use tuberry_storage::telegram_chats::{self, TelegramChat};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Only of this bot.
    #[param(value_type = Option<i32>, minimum = 1)]
    bot_id: Option<RowId<BotId>>,
}

/// Lists the chats in which the bots are or were members, for choosing a working group: current memberships first.
#[utoipa::path(
    get,
    path = "/api/telegram-chats",
    operation_id = "list_chats",
    tag = "chats",
    params(Filter),
    responses(
        (status = 200, description = "At most 500 chats.", body = Vec<TelegramChat>),
        (status = 404, description = "No such bot of this client: «Бот не найден»."),
    )
)]
pub(super) async fn list(
    State(state): State<AppState>,
    tenant: Tenant,
    Params(filter): Params<Filter>,
) -> Result<Json<Vec<TelegramChat>>, Problem> {
    let bot = filter.bot_id.map(|bot| bot.0);
    if let Some(bot) = bot {
        let known = tuberry_storage::bots::find(state.store.pool(), tenant.client, bot).await?;
        known.ok_or_else(|| Problem::not_found("Бот не найден"))?;
    }
    Ok(Json(telegram_chats::list(state.store.pool(), tenant.client, bot).await?))
}

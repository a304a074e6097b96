//! `GET /api/bots` and `GET /api/bots/{id}`.

use super::unknown;
use crate::http::auth::Tenant;
use crate::http::extract::PathId;
use crate::http::{AppState, Problem};
use axum::Json;
use axum::extract::State;
use tuberry_domain::BotId;
use tuberry_storage::bots::{self, Bot};

/// Lists the managing bots, oldest first.
#[utoipa::path(
    get,
    path = "/api/bots",
    operation_id = "list_bots",
    tag = "bots",
    responses(
        (status = 200, description = "At most 1,000 bots.", body = Vec<Bot>),
    )
)]
pub(in crate::http) async fn list(State(state): State<AppState>, tenant: Tenant) -> Result<Json<Vec<Bot>>, Problem> {
    Ok(Json(bots::list(state.store.pool(), tenant.client).await?))
}

/// Reads one bot.
#[utoipa::path(
    get,
    path = "/api/bots/{id}",
    operation_id = "read_bot",
    tag = "bots",
    params(PathId<BotId>),
    responses(
        (status = 200, description = "The bot.", body = Bot),
        (status = 404, description = "No such bot of this client: «Бот не найден»."),
    )
)]
pub(in crate::http) async fn read(
    State(state): State<AppState>,
    tenant: Tenant,
    PathId(bot): PathId<BotId>,
) -> Result<Json<Bot>, Problem> {
    bots::find(state.store.pool(), tenant.client, bot).await?.map(Json).ok_or_else(unknown)
}

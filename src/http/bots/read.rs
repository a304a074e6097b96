//! `GET /api/bots` and `GET /api/bots/{id}`.

use super::unknown;
use crate::http::auth::Tenant;
use crate::http::extract::PathId;
use crate::http::{AppState, Problem};
use axum::Json;
use axum::extract::State;
use tuberry_domain::BotId;
use tuberry_storage::bots::{self, Bot};

/// The tenant's bots, oldest first.
pub(in crate::http) async fn list(State(state): State<AppState>, tenant: Tenant) -> Result<Json<Vec<Bot>>, Problem> {
    Ok(Json(bots::list(state.store.pool(), tenant.client).await?))
}

/// One of them.
pub(in crate::http) async fn read(
    State(state): State<AppState>,
    tenant: Tenant,
    PathId(bot): PathId<BotId>,
) -> Result<Json<Bot>, Problem> {
    bots::find(state.store.pool(), tenant.client, bot).await?.map(Json).ok_or_else(unknown)
}

//! `POST /api/projects`.

use super::{bind_bot, lock_bot, name, unknown};
use crate::http::auth::Tenant;
use crate::http::extract::{Json, line};
use crate::http::{AppState, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use tuberry_domain::BotId;
use tuberry_storage::projects::{self, Project};

#[derive(Debug, Deserialize)]
pub(in crate::http) struct Request {
    name: String,
    description: Option<String>,
    bot_id: Option<BotId>,
}

/// 201 with the project.
pub(in crate::http) async fn create(
    State(state): State<AppState>,
    tenant: Tenant,
    Json(request): Json<Request>,
) -> Result<(StatusCode, axum::Json<Project>), Problem> {
    let name = name(&request.name)?;
    let description = request.description.map(|text| line(&text, 2000)).transpose()?;
    let mut tx = state.store.begin().await?;
    if let Some(bot) = request.bot_id {
        lock_bot(&mut tx, tenant.client, bot).await?;
    }
    let id = projects::create(&mut tx, tenant.client, &name, description.as_deref()).await?;
    if let Some(bot) = request.bot_id {
        bind_bot(&mut tx, id, bot).await?;
    }
    tx.commit().await?;
    let project = projects::find(state.store.pool(), tenant.client, id).await?.ok_or_else(unknown)?;
    Ok((StatusCode::CREATED, axum::Json(project)))
}

//! `POST /api/projects`.

use super::{bind_bot, lock_bot, name, unknown};
use crate::http::auth::Tenant;
use crate::http::extract::{Json, RowId, line};
use crate::http::{AppState, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use tuberry_domain::BotId;
use tuberry_storage::projects::{self, Project};
use utoipa::ToSchema;

/// A project to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewProject)]
pub(in crate::http) struct Request {
    /// Shown in the portal; not only white space.
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = "^[^\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\x7F-\\x9F]*[^\\s\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\x7F-\\x9F][^\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\x7F-\\x9F]*$",
        example = "Ромашка"
    )]
    name: String,
    /// Free text.
    #[schema(max_length = 2000, pattern = "^[^\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\x7F-\\x9F]*$", example = "Розница")]
    description: Option<String>,
    /// The managing bot.
    #[schema(value_type = Option<i32>, minimum = 1, example = 1)]
    bot_id: Option<RowId<BotId>>,
}

/// Creates a project.
#[utoipa::path(
    post,
    path = "/api/projects",
    operation_id = "create_project",
    tag = "projects",
    request_body = Request,
    responses(
        (status = 201, description = "The new project.", body = Project),
        (status = 404, description = "No such bot of this client: «Бот не найден»."),
        (status = 409, description = "The bot serves another project: «Бот уже подключён к другому проекту»."),
    )
)]
pub(in crate::http) async fn create(
    State(state): State<AppState>,
    tenant: Tenant,
    Json(request): Json<Request>,
) -> Result<(StatusCode, axum::Json<Project>), Problem> {
    let name = name(&request.name)?;
    let description = request.description.map(|text| line(&text, 2000)).transpose()?;
    let mut tx = state.store.begin().await?;
    let bot = request.bot_id.map(|bot| bot.0);
    if let Some(bot) = bot {
        lock_bot(&mut tx, tenant.client, bot).await?;
    }
    let id = projects::create(&mut tx, tenant.client, &name, description.as_deref()).await?;
    if let Some(bot) = bot {
        bind_bot(&mut tx, id, bot).await?;
    }
    tx.commit().await?;
    let project = projects::find(state.store.pool(), tenant.client, id).await?.ok_or_else(unknown)?;
    Ok((StatusCode::CREATED, axum::Json(project)))
}

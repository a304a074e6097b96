//! `GET /api/personal-telegram-accounts[?project_id=]`.

use crate::http::auth::Tenant;
use crate::http::extract::Params;
use crate::http::{AppState, Problem};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tuberry_domain::ProjectId;
use tuberry_storage::account_pages::{self, AccountPage};

#[derive(Debug, Deserialize)]
pub(in crate::http) struct Filter {
    project_id: Option<i32>,
}

/// The tenant's accounts, oldest first.
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    tenant: Tenant,
    Params(filter): Params<Filter>,
) -> Result<Json<Vec<AccountPage>>, Problem> {
    let project = filter.project_id.map(ProjectId);
    Ok(Json(account_pages::list(state.store.pool(), tenant.client, project).await?))
}

//! `GET /api/personal-telegram-accounts[?project_id=]`.

use crate::http::auth::Tenant;
use crate::http::extract::{Params, RowId};
use crate::http::{AppState, Problem};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use tuberry_domain::ProjectId;
use tuberry_storage::account_pages::{self, AccountPage};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Filter {
    /// Only of this project.
    #[param(value_type = Option<i32>, minimum = 1)]
    project_id: Option<RowId<ProjectId>>,
}

/// Lists the connected accounts, oldest first.
#[utoipa::path(
    get,
    path = "/api/personal-telegram-accounts",
    operation_id = "list_accounts",
    tag = "accounts",
    params(Filter),
    responses(
        (status = 200, description = "At most 10,000 accounts.", body = Vec<AccountPage>),
    )
)]
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    tenant: Tenant,
    Params(filter): Params<Filter>,
) -> Result<Json<Vec<AccountPage>>, Problem> {
    let project = filter.project_id.map(|project| project.0);
    Ok(Json(account_pages::list(state.store.pool(), tenant.client, project).await?))
}

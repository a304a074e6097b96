//! `DELETE /api/personal-telegram-accounts/login/{login_id}`.

use super::{LoginId, unknown};
use crate::http::auth::Tenant;
use crate::http::{AppState, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use tuberry_storage::logins;

/// Cancels a login. One that has ended stays as it is.
#[utoipa::path(
    delete,
    path = "/api/personal-telegram-accounts/login/{id}",
    operation_id = "cancel_login",
    tag = "logins",
    params(LoginId),
    responses(
        (status = 204, description = "It is cancelled, or had ended."),
        (status = 404, description = "No such login of this client: «Вход не найден»."),
    )
)]
pub(in crate::http) async fn cancel(State(state): State<AppState>, tenant: Tenant, id: LoginId) -> Result<StatusCode, Problem> {
    let mut tx = state.store.begin().await?;
    logins::cancel(&mut tx, tenant.client, &id.0).await?.ok_or_else(unknown)?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

//! `DELETE /api/personal-telegram-accounts/{id}`: the account goes, its dialogs stay. Telegram is told by a job, from the tombstone.

use super::unknown;
use crate::http::auth::Tenant;
use crate::http::extract::PathId;
use crate::http::{AppState, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use tuberry_domain::AccountId;
use tuberry_jobs::{LogOut, enqueue, fail_waiting_replies};
use tuberry_storage::{account_pages, workers};

/// Why replies of the account fail from now on, as their topics show it.
const REASON: &str = "аккаунт отключён от проекта";

/// Removes an account.
///
/// Its dialogs stay, their `personal_account_id` becomes null. Replies that wait fail, and the session is logged out of Telegram in the background.
#[utoipa::path(
    delete,
    path = "/api/personal-telegram-accounts/{id}",
    operation_id = "delete_account",
    tag = "accounts",
    params(PathId<AccountId>),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "No such account of this client: «Аккаунт не найден»."),
    )
)]
pub(in crate::http) async fn delete(
    State(state): State<AppState>,
    tenant: Tenant,
    PathId(account): PathId<AccountId>,
) -> Result<StatusCode, Problem> {
    let mut tx = state.store.begin().await?;
    if !account_pages::lock(&mut tx, tenant.client, account).await? {
        return Err(unknown());
    }
    fail_waiting_replies(&mut tx, account, REASON).await?;
    if let Some(tombstone) = account_pages::remove(&mut tx, account).await? {
        enqueue(&mut tx, &LogOut { tombstone, account, client: Some(tenant.client) }).await?;
    }
    tx.commit().await?;
    workers::announce(state.store.pool(), &format!("account {account}")).await;
    tracing::info!(account = account.0, user = tenant.user.0, "account removed");
    Ok(StatusCode::NO_CONTENT)
}

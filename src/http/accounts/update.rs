//! `PATCH /api/personal-telegram-accounts/{id}`: the name shown, and which chats are mirrored.

use super::unknown;
use crate::http::auth::Tenant;
use crate::http::extract::{Json, PathId, line};
use crate::http::{AppState, Problem};
use axum::extract::State;
use serde::Deserialize;
use tuberry_domain::AccountId;
use tuberry_storage::account_pages::{self, AccountChange, AccountPage};
use tuberry_storage::workers;
use utoipa::ToSchema;

/// What may be changed; fields that are absent or null stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AccountChange)]
pub(in crate::http) struct Change {
    /// An empty name takes the name away.
    #[schema(max_length = 255, pattern = "^[^\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\x7F-\\x9F]*$", example = "Анна")]
    display_name: Option<String>,
    /// Mirror private chats.
    accepts_private: Option<bool>,
    /// Mirror groups.
    accepts_groups: Option<bool>,
    /// Mirror channels.
    accepts_channels: Option<bool>,
}

/// Changes the name shown of an account, and which chats are mirrored.
///
/// Fields that are absent or null stay as they are.
#[utoipa::path(
    patch,
    path = "/api/personal-telegram-accounts/{id}",
    operation_id = "update_account",
    tag = "accounts",
    params(PathId<AccountId>),
    request_body = Change,
    responses(
        (status = 200, description = "The account as it is now.", body = AccountPage),
        (status = 404, description = "No such account of this client: «Аккаунт не найден»."),
    )
)]
pub(in crate::http) async fn update(
    State(state): State<AppState>,
    tenant: Tenant,
    PathId(account): PathId<AccountId>,
    Json(change): Json<Change>,
) -> Result<axum::Json<AccountPage>, Problem> {
    let change = AccountChange {
        display_name: change.display_name.map(|name| line(&name, 255)).transpose()?,
        accepts_private: change.accepts_private,
        accepts_groups: change.accepts_groups,
        accepts_channels: change.accepts_channels,
    };
    let mut tx = state.store.begin().await?;
    if !account_pages::update(&mut tx, tenant.client, account, &change).await? {
        return Err(unknown());
    }
    tx.commit().await?;
    workers::announce(state.store.pool(), &format!("account {account}")).await;
    let page = account_pages::find(state.store.pool(), tenant.client, account).await?;
    page.map(axum::Json).ok_or_else(unknown)
}

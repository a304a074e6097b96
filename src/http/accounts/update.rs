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

/// Fields that are absent or null stay as they are; an empty name takes the name away.
#[derive(Debug, Deserialize)]
pub(in crate::http) struct Change {
    display_name: Option<String>,
    accepts_private: Option<bool>,
    accepts_groups: Option<bool>,
    accepts_channels: Option<bool>,
}

/// Answers with the changed account.
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

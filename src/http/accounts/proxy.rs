//! `PUT` and `DELETE /api/personal-telegram-accounts/{id}/proxy`: the account's own SOCKS5 proxy, instead of the service's. Its worker
//! connects anew, and by no other way. The credentials are sealed and never shown again.

use super::unknown;
use crate::http::auth::Tenant;
use crate::http::extract::{Json, PathId};
use crate::http::{AppState, Problem};
use axum::extract::State;
use serde::Deserialize;
use tuberry_domain::{AccountId, InvalidProxy, Proxy, Secret};
use tuberry_jobs::context::proxy_place;
use tuberry_storage::account_pages::{self, AccountPage};
use tuberry_storage::{proxies, workers};

#[derive(Debug, Deserialize)]
pub(in crate::http) struct Wanted {
    /// `socks5://user:password@host:port`.
    url: Secret<String>,
}

/// Answers with the account, whose `proxy` is `host:port`. 422 for what is no proxy.
pub(in crate::http) async fn set_proxy(
    State(state): State<AppState>,
    tenant: Tenant,
    PathId(account): PathId<AccountId>,
    Json(wanted): Json<Wanted>,
) -> Result<axum::Json<AccountPage>, Problem> {
    let proxy = Proxy::parse(wanted.url.expose()).map_err(|error| {
        Problem::invalid(match error {
            InvalidProxy::Form => "Укажите прокси в виде socks5://логин:пароль@адрес:порт, логин и пароль можно опустить",
            InvalidProxy::Credentials => {
                "Логин и пароль прокси могут содержать только латинские буквы, цифры и знаки -._~!$&'()*+,"
            }
        })
    })?;
    let sealed = state.sealer.seal(proxy_place(&account.to_string()), proxy.url().expose().as_bytes());
    let mut tx = state.store.begin().await?;
    if !proxies::set(&mut tx, tenant.client, account, &proxy.to_string(), &sealed).await? {
        return Err(unknown());
    }
    tx.commit().await?;
    tracing::info!(account = account.0, user = tenant.user.0, %proxy, "proxy set");
    changed(&state, tenant, account).await
}

/// Answers with the account, which has none any more. 404 where it had none.
pub(in crate::http) async fn remove_proxy(
    State(state): State<AppState>,
    tenant: Tenant,
    PathId(account): PathId<AccountId>,
) -> Result<axum::Json<AccountPage>, Problem> {
    let mut tx = state.store.begin().await?;
    if !proxies::remove(&mut tx, tenant.client, account).await? {
        return Err(Problem::not_found("У аккаунта нет своего прокси"));
    }
    tx.commit().await?;
    tracing::info!(account = account.0, user = tenant.user.0, "proxy removed");
    changed(&state, tenant, account).await
}

async fn changed(state: &AppState, tenant: Tenant, account: AccountId) -> Result<axum::Json<AccountPage>, Problem> {
    workers::announce(state.store.pool(), &format!("account {account}")).await;
    let page = account_pages::find(state.store.pool(), tenant.client, account).await?;
    page.map(axum::Json).ok_or_else(unknown)
}

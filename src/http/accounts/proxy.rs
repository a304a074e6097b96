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
use utoipa::ToSchema;

/// A proxy for one account.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AccountProxy)]
pub(in crate::http) struct Wanted {
    /// `socks5://user:password@host:port`.
    #[schema(value_type = String, pattern = "^\\s*socks5://", example = "socks5://anna:secret@192.0.2.10:1080")]
    url: Secret<String>,
}

/// Gives an account a SOCKS5 proxy of its own, instead of the service's.
///
/// Its worker connects anew, and by no other way. User and password are never shown again.
#[utoipa::path(
    put,
    path = "/api/personal-telegram-accounts/{id}/proxy",
    operation_id = "set_proxy",
    tag = "accounts",
    params(PathId<AccountId>),
    request_body = Wanted,
    responses(
        (status = 200, description = "The account, whose `proxy` is `host:port`.", body = AccountPage),
        (status = 404, description = "No such account of this client: «Аккаунт не найден»."),
        (status = 422, description = "Not the URL of a proxy: «Укажите прокси в виде socks5://логин:пароль@адрес:порт, логин и пароль можно опустить»."),
    )
)]
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

/// Takes an account's own proxy away.
#[utoipa::path(
    delete,
    path = "/api/personal-telegram-accounts/{id}/proxy",
    operation_id = "remove_proxy",
    tag = "accounts",
    params(PathId<AccountId>),
    responses(
        (status = 200, description = "The account, which has none any more.", body = AccountPage),
        (status = 404, description = "No such account, or it has no proxy of its own: «У аккаунта нет своего прокси»."),
    )
)]
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

//! `GET /api/personal-telegram-accounts/login/{login_id}`, and the body that other verbs answer with too.

use super::{LoginId, current_url, unknown};
use crate::http::auth::Tenant;
use crate::http::{AppState, Problem};
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use tuberry_domain::ClientId;
use tuberry_domain::login::LoginStage;
use tuberry_storage::account_pages::{self, AccountPage};
use tuberry_storage::logins::{self, Login};
use tuberry_storage::words;
use utoipa::ToSchema;
use utoipa::openapi::Object;

/// A login as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct LoginStatus {
    /// `pending`: no code yet, or scanned and being finished. `ready`: the code is valid.
    #[schema(schema_with = login_status)]
    status: &'static str,
    /// The account that came of it.
    account: Option<AccountPage>,
    /// What went wrong, in Russian.
    #[schema(example = json!(null))]
    error: Option<String>,
    /// The code to show, while it is valid.
    #[schema(example = "tg://login?token=AQJ0ZXN0")]
    qr_url: Option<String>,
    /// When that code ends.
    expires_at: Option<DateTime<Utc>>,
    /// When the login ends, whatever codes it had.
    login_expires_at: DateTime<Utc>,
    /// The hint of the 2FA password, while it is asked for.
    #[schema(example = json!(null))]
    password_hint: Option<String>,
}

fn login_status() -> Object {
    words(
        "`pending`: no code yet, or scanned and being finished. `ready`: the code is valid.",
        ["pending", "ready", "password_required", "completed", "error", "expired"],
    )
}

/// A worker ends an overdue login by itself. Only when none has done so for this long the row is no longer believed.
const GRACE: chrono::TimeDelta = chrono::TimeDelta::seconds(10);

/// Reads where a login stands.
#[utoipa::path(
    get,
    path = "/api/personal-telegram-accounts/login/{id}",
    operation_id = "read_login",
    tag = "logins",
    params(LoginId),
    responses(
        (status = 200, description = "Its status; `account` is there when it is completed.", body = LoginStatus),
        (status = 404, description = "No such login of this client: «Вход не найден»."),
    )
)]
pub(in crate::http) async fn status(
    State(state): State<AppState>,
    tenant: Tenant,
    id: LoginId,
) -> Result<Json<LoginStatus>, Problem> {
    let login = find(&state, tenant.client, &id).await?;
    Ok(Json(LoginStatus::of(&state, login).await?))
}

/// The tenant's login; 404 for anything else.
pub(super) async fn find(state: &AppState, client: ClientId, id: &LoginId) -> Result<Login, Problem> {
    logins::find(state.store.pool(), client, &id.0).await?.ok_or_else(unknown)
}

impl LoginStatus {
    pub(super) async fn of(state: &AppState, login: Login) -> Result<Self, Problem> {
        let account = match login.account {
            Some(account) => account_pages::find(state.store.pool(), login.client, account).await?,
            None => None,
        };
        let qr_url = current_url(state, &login);
        let asks = matches!(login.stage, LoginStage::PasswordRequired | LoginStage::CheckingPassword);
        Ok(Self {
            status: status_name(&login, qr_url.is_some()),
            account,
            error: login.error,
            expires_at: login.token_expires_at.filter(|_| qr_url.is_some()),
            qr_url,
            login_expires_at: login.expires_at,
            password_hint: login.password_hint.filter(|_| asks),
        })
    }
}

/// `status` of the contract. `ready` is promised only with a code that Telegram still takes, and a login whose time is over is expired
/// even before the next tick writes so.
fn status_name(login: &Login, has_code: bool) -> &'static str {
    let overdue = login.expires_at + GRACE <= Utc::now();
    match login.stage {
        LoginStage::Starting | LoginStage::Ready | LoginStage::PasswordRequired if overdue => LoginStage::Expired.status(),
        LoginStage::Ready if !has_code => LoginStage::Starting.status(),
        stage => stage.status(),
    }
}

//! `/api/personal-telegram-accounts/login`: connecting an account by QR code. All state is in the login's row, which jobs move on; a
//! request only writes what its user decided, and may wait a little to answer with what came of it.

mod cancel;
mod password;
mod qr;
mod start;
mod status;

pub(super) use cancel::{__path_cancel, cancel};
pub(super) use password::{__path_password, password};
pub(super) use qr::{__path_png, __path_svg, png, svg};
pub(super) use start::{__path_start, start};
pub(super) use status::{__path_status, status};

use super::extract::in_path;
use super::{AppState, Problem};
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use std::time::Duration;
use tokio::time::Instant;
use tuberry_domain::LoginNumber;
use tuberry_domain::login::LoginStage;
use tuberry_jobs::context::login_place;
use tuberry_storage::logins::{self, Login};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

fn unknown() -> Problem {
    Problem::not_found("Вход не найден")
}

/// A login's public id in a path: base64url, of bounded length. Anything else names no login: 404.
pub(super) struct LoginId(String);

impl<S: Send + Sync> FromRequestParts<S> for LoginId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(id) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| unknown())?;
        let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if plain && (16..=64).contains(&id.len()) { Ok(Self(id)) } else { Err(unknown()) }
    }
}

impl IntoParams for LoginId {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![in_path("id", ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[A-Za-z0-9_-]{16,64}$")))]
    }
}

/// Waits until the login has left `stage`, at most until `deadline`; answers with the row as it is then.
async fn wait_while(state: &AppState, number: LoginNumber, stage: LoginStage, deadline: Instant) -> Result<Login, Problem> {
    loop {
        let login = logins::load(state.store.pool(), number).await?.ok_or_else(unknown)?;
        if login.stage != stage || Instant::now() >= deadline {
            return Ok(login);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The QR code's URL, while Telegram takes it.
fn current_url(state: &AppState, login: &Login) -> Option<String> {
    let sealed = login.sealed_url.as_deref().filter(|_| login.stage == LoginStage::Ready)?;
    login.token_expires_at.filter(|&until| until.min(login.expires_at) > chrono::Utc::now())?;
    let number = login.number.to_string();
    let plain = state.sealer.open(login_place(&number, "sealed_url"), sealed);
    let plain =
        plain.inspect_err(|error| tracing::error!(login = login.number.0, %error, "the QR code's URL does not open")).ok()?;
    String::from_utf8(plain.expose().clone()).ok()
}

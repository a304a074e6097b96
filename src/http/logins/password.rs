//! `POST /api/personal-telegram-accounts/login/{login_id}/password`: the 2FA password becomes an SRP proof here, in this process; only the
//! proof is stored. The password is dropped with the request.

use super::status::{LoginStatus, find};
use super::{LoginId, wait_while};
use crate::http::auth::Tenant;
use crate::http::extract::Json;
use crate::http::{AppState, Problem};
use axum::extract::State;
use serde::Deserialize;
use std::time::Duration;
use tokio::time::Instant;
use tuberry_domain::Secret;
use tuberry_domain::login::LoginStage;
use tuberry_jobs::{SubmitPassword, enqueue};
use tuberry_storage::logins::{self, Login};
use utoipa::ToSchema;

/// How long the request waits for Telegram's verdict.
const PATIENCE: Duration = Duration::from_secs(15);

/// Proofs for one request: the second where Telegram found the first one's parameters outdated.
const PROOFS: usize = 2;

/// A 2FA password.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = LoginPassword)]
pub(in crate::http) struct Request {
    /// It is neither stored nor logged.
    #[schema(value_type = String, min_length = 1, max_length = 128, example = "correct horse")]
    password: Secret<String>,
}

/// Hands in the 2FA password, and waits for Telegram's verdict, at most 15 s.
///
/// A wrong password is no HTTP error: the answer has the status `password_required` and the error «Неверный пароль».
#[utoipa::path(
    post,
    path = "/api/personal-telegram-accounts/login/{id}/password",
    operation_id = "submit_password",
    tag = "logins",
    params(LoginId),
    request_body = Request,
    responses(
        (status = 200, description = "The login's status; `pending` when the verdict takes longer.", body = LoginStatus),
        (status = 404, description = "No such login of this client: «Вход не найден»."),
        (status = 409, description = "No password was asked for: «Пароль пока не нужен: сначала отсканируйте QR-код»."),
    )
)]
pub(in crate::http) async fn password(
    State(state): State<AppState>,
    tenant: Tenant,
    id: LoginId,
    Json(request): Json<Request>,
) -> Result<axum::Json<LoginStatus>, Problem> {
    if !(1..=128).contains(&request.password.expose().chars().count()) {
        return Err(Problem::invalid("Пароль должен содержать от 1 до 128 символов"));
    }
    let deadline = Instant::now() + PATIENCE;
    let mut login = find(&state, tenant.client, &id).await?;
    if login.stage.may_start_over() {
        return Err(Problem::conflict("Пароль пока не нужен: сначала отсканируйте QR-код"));
    }
    for _ in 0..PROOFS {
        if login.stage == LoginStage::PasswordRequired {
            submit(&state, &login, &request.password).await?;
        }
        login = wait_while(&state, login.number, LoginStage::CheckingPassword, deadline).await?;
        // Asked for again without a reason: the parameters had changed meanwhile.
        if !(login.stage == LoginStage::PasswordRequired && login.error.is_none()) {
            break;
        }
    }
    Ok(axum::Json(LoginStatus::of(&state, login).await?))
}

async fn submit(state: &AppState, login: &Login, password: &Secret<String>) -> Result<(), Problem> {
    let parameters = login.password_parameters.clone().ok_or_else(Problem::internal)?;
    let (prover, password) = (state.prover.clone(), password.clone());
    let proof = tokio::task::spawn_blocking(move || prover(&parameters, &password)).await;
    let proof = proof.map_err(|_| Problem::internal())?.map_err(|error| {
        tracing::error!(login = login.number.0, error, "no proof for these parameters");
        Problem::internal()
    })?;
    let mut tx = state.store.begin().await?;
    if logins::submit_proof(&mut tx, login.number, &proof).await? {
        enqueue(&mut tx, &SubmitPassword { login: login.number }).await?;
    }
    tx.commit().await?;
    Ok(())
}

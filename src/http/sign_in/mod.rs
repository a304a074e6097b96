//! `POST /api/auth/login`: e-mail address and password for a bearer token.

mod attempts;

pub use attempts::Attempts;

use super::extract::Json;
use super::{AppState, Problem};
use crate::passwords;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::Instant;
use tuberry_domain::Secret;
use tuberry_storage::users;

/// A refusal takes at least this long, so that its time does not tell an unknown address from a wrong password.
const REFUSAL_TAKES: Duration = Duration::from_millis(400);

#[derive(Debug, Deserialize)]
pub(super) struct Request {
    email: String,
    password: Secret<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct SignedIn {
    access_token: String,
    token_type: &'static str,
    expires_at: DateTime<Utc>,
}

/// 200 with a token; 401 when address or password is wrong; 429 after too many attempts.
pub(super) async fn sign_in(
    State(state): State<AppState>,
    Json(request): Json<Request>,
) -> Result<axum::Json<SignedIn>, Problem> {
    let started = Instant::now();
    let email = super::extract::line(&request.email, 254)?;
    state.attempts.begin(&email).map_err(|wait| {
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "Слишком много попыток входа: повторите позже");
        problem.retry_after(wait)
    })?;
    let user = users::find_by_email(state.store.pool(), &email).await?;
    let (id, hash) = user.map(|user| (user.id, user.hashed_password)).unzip();
    let turn = state.attempts.turn().await;
    let checked = tokio::task::spawn_blocking(move || {
        let right = passwords::verify(&request.password, hash.flatten().as_ref().map(|hash| hash.expose().as_str()));
        drop(turn);
        right
    });
    match (id, checked.await) {
        (Some(id), Ok(true)) => {
            state.attempts.succeeded(&email);
            let (access_token, expires_at) = state.tokens.issue(id);
            Ok(axum::Json(SignedIn { access_token, token_type: "bearer", expires_at }))
        }
        _ => {
            tokio::time::sleep_until(started + REFUSAL_TAKES).await;
            Err(Problem::unauthorized("Неверный e-mail или пароль"))
        }
    }
}

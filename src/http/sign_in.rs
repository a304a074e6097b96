//! `POST /api/auth/login`: e-mail address and password for a bearer token.

use super::extract::Json;
use super::{AppState, Problem};
use crate::credentials::{self, Refused};
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tuberry_domain::Secret;

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
    let email = super::extract::line(&request.email, 254)?;
    let user = credentials::check(&state.store, &state.attempts, &email, request.password).await?;
    let (access_token, expires_at) = state.tokens.issue(user);
    Ok(axum::Json(SignedIn { access_token, token_type: "bearer", expires_at }))
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Wrong => Self::unauthorized("Неверный e-mail или пароль"),
            Refused::TooMany(wait) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "Слишком много попыток входа: повторите позже").retry_after(wait)
            }
            Refused::Storage(error) => error.into(),
        }
    }
}

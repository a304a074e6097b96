//! `POST /api/auth/login`: e-mail address and password for a bearer token.

use super::extract::Json;
use super::{AppState, Problem};
use crate::credentials::{self, Refused};
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tuberry_domain::Secret;
use utoipa::ToSchema;

/// Who wants in.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Credentials)]
pub(super) struct Request {
    /// Of a user in the portal.
    #[schema(max_length = 254, pattern = "^[^\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\x7F-\\x9F]*$", example = "owner@example.org")]
    email: String,
    /// That of the portal.
    #[schema(value_type = String, example = "correct horse")]
    password: Secret<String>,
}

/// A bearer token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub(super) struct SignedIn {
    /// Goes into `Authorization: Bearer …`.
    #[schema(example = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.signature")]
    access_token: String,
    /// Always this word.
    #[schema(example = "bearer")]
    token_type: &'static str,
    /// When it ends.
    expires_at: DateTime<Utc>,
}

/// Signs a user in by e-mail address and password, for a bearer token.
#[utoipa::path(
    post,
    path = "/api/auth/login",
    operation_id = "sign_in",
    tag = "sign-in",
    request_body = Request,
    responses(
        (status = 200, description = "A token.", body = SignedIn),
        (status = 401, description = "Address or password is wrong: «Неверный e-mail или пароль»."),
        (status = 429, description = "Ten attempts a minute and address: «Слишком много попыток входа: повторите позже»."),
    )
)]
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

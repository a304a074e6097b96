//! The ready-made board of the queue, for the platform's administrator, on an address of its own: it wants to stand at the root. It only shows.
//! Who may enter is decided here: a bearer token, or for browsers HTTP Basic with any user name and the token as password.

use super::{Problem, auth, problem, request};
use crate::tokens::Tokens;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Router, middleware};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tower_http::catch_panic::CatchPanicLayer;
use tuberry_storage::Store;
use tuberry_storage::users;

/// What the door needs.
#[derive(Clone)]
struct Door {
    store: Store,
    tokens: Tokens,
}

/// The board behind its door. Its overview reads the whole table of jobs: give it few connections of its own.
pub fn board(store: Store, tokens: Tokens) -> Router {
    tuberry_jobs::queue::board(store.pool(), tuberry_jobs::KINDS)
        .layer(middleware::from_fn_with_state(Door { store, tokens }, enter))
        .layer(CatchPanicLayer::custom(problem::after_panic))
        .layer(middleware::from_fn(request::observe))
}

/// 401 without a valid token of an active user, 403 for anybody but the platform's administrator, 405 for what would change something.
async fn enter(State(door): State<Door>, request: Request, next: Next) -> Response {
    match door.admit(request.headers()).await {
        Ok(()) if matches!(*request.method(), Method::GET | Method::HEAD) => next.run(request).await,
        Ok(()) => {
            let mut response = problem::no_such_method().await.into_response();
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
        Err(problem) => {
            let mut response = problem.into_response();
            if response.status() == StatusCode::UNAUTHORIZED {
                let challenge = HeaderValue::from_static("Basic realm=\"Tuberry\", charset=\"UTF-8\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            response
        }
    }
}

impl Door {
    async fn admit(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let token = auth::bearer(headers).map(str::to_owned).or_else(|| basic_password(headers));
        let user = token.and_then(|token| self.tokens.check(&token));
        let user = user.ok_or_else(|| Problem::unauthorized("Введите токен администратора платформы вместо пароля"))?;
        let user = users::find_active(self.store.pool(), user).await?;
        let user = user.ok_or_else(|| Problem::unauthorized("Пользователь не найден или отключён"))?;
        if user.is_platform() {
            Ok(())
        } else {
            Err(Problem::new(StatusCode::FORBIDDEN, "Недостаточно прав: только для администратора платформы"))
        }
    }
}

/// The password of `Authorization: Basic …`, whatever the user name.
fn basic_password(headers: &HeaderMap) -> Option<String> {
    let (scheme, encoded) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(encoded.trim()).ok())??;
    let (_, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(authorization: &str) -> Option<String> {
        basic_password(&HeaderMap::from_iter([(header::AUTHORIZATION, authorization.parse().unwrap())]))
    }

    #[test]
    fn the_password_comes_after_the_first_colon() {
        let basic = |text: &str| format!("bAsIc {}", STANDARD.encode(text));
        assert_eq!(password(&basic("me:a.b:c")).as_deref(), Some("a.b:c"));
        assert_eq!(password(&basic(":token")).as_deref(), Some("token"));
        for wrong in [&basic("token"), "Basic", "Basic !", "Basic //79", "Bearer bWU6eA==", "bWU6eA=="] {
            assert_eq!(password(wrong), None, "{wrong}");
        }
        assert_eq!(basic_password(&HeaderMap::new()), None);
    }
}

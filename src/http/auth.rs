//! Who may call what. [`require`] stands before every protected route: without a valid bearer token, or a session of the portal, of an active user
//! nothing passes (401), and only owners and admins pass with a method that changes things (403). Handlers then take [`Tenant`] or [`JobsReach`],
//! which say for whom they act. What a role may do stands at [`ActiveUser`].

use super::{AppState, Problem};
use crate::sessions::{self, SessionCookie};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use tuberry_domain::{ClientId, UserId};
use tuberry_jobs::queue::control::Hand;
use tuberry_storage::users::{self, ActiveUser, NoJobs};

/// The layer before protected routes.
pub(super) async fn require(State(state): State<AppState>, mut request: Request, next: Next) -> Result<Response, Problem> {
    let user = identify(&state, request.headers(), request.method()).await?;
    if !reads(request.method()) && !user.may_change() {
        return Err(Problem::new(StatusCode::FORBIDDEN, "Недостаточно прав: изменять может владелец или администратор"));
    }
    request.extensions_mut().insert(user);
    Ok(next.run(request).await)
}

fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// The user of a bearer token, or of a session of the portal. A browser sends the session's cookie by itself: with it, whatever changes something
/// must carry the session's CSRF token, too.
async fn identify(state: &AppState, headers: &HeaderMap, method: &Method) -> Result<ActiveUser, Problem> {
    let nobody = || Problem::unauthorized("Войдите в систему");
    if headers.contains_key(header::AUTHORIZATION) {
        let user = bearer(headers).and_then(|token| state.tokens.check(token)).ok_or_else(nobody)?;
        let user = users::find_active(state.store.pool(), user).await?;
        return user.ok_or_else(|| Problem::unauthorized("Пользователь не найден или отключён"));
    }
    let session = SessionCookie::of(headers).ok_or_else(nobody)?;
    let signed_in = sessions::find(&state.store, &session).await?.ok_or_else(nobody)?;
    if !reads(method) && !sessions::csrf_fits(headers) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "Страница устарела: обновите её и повторите"));
    }
    Ok(signed_in.user)
}

/// The token of `Authorization: Bearer …`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whose jobs a user may see and touch: the platform's administrator (an admin without a client) everybody's, owners and admins their own
/// tenant's, managers nobody's (403).
#[derive(Clone, Copy, Debug)]
pub(super) struct JobsReach(pub Hand);

impl<S: Send + Sync> FromRequestParts<S> for JobsReach {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let user = parts.extensions.get::<ActiveUser>().ok_or_else(|| Problem::unauthorized("Войдите в систему"))?;
        match user.jobs() {
            Ok(client) => Ok(Self(Hand { user: user.id, client })),
            Err(NoJobs::Role) => {
                Err(Problem::new(StatusCode::FORBIDDEN, "Недостаточно прав: задания видят владелец и администратор"))
            }
            Err(NoJobs::Tenant) => Err(Problem::bad_request("Пользователь не привязан к клиенту")),
        }
    }
}

/// The platform's administrator. 403 for everybody else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Platform(pub Hand);

impl<S: Send + Sync> FromRequestParts<S> for Platform {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let JobsReach(hand) = JobsReach::from_request_parts(parts, state).await?;
        match hand.client {
            None => Ok(Self(hand)),
            Some(_) => Err(Problem::new(StatusCode::FORBIDDEN, "Недостаточно прав: только для администратора платформы")),
        }
    }
}

/// The tenant for whom a request acts. 400 for a user without one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tenant {
    /// The tenant: every query is limited to it.
    pub client: ClientId,
    /// The user, for the log.
    pub user: UserId,
}

impl<S: Send + Sync> FromRequestParts<S> for Tenant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let user = parts.extensions.get::<ActiveUser>().ok_or_else(|| Problem::unauthorized("Войдите в систему"))?;
        let client = user.client.ok_or_else(|| Problem::bad_request("Пользователь не привязан к клиенту"))?;
        Ok(Self { client, user: user.id })
    }
}

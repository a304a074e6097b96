//! Who looks at a page, as extractors: handlers say what kind of visitor they are for, and anybody else is sent elsewhere.

use super::layout;
use super::texts::{Language, local};
use crate::http::AppState;
use crate::sessions::{self, SessionCookie};
use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use tuberry_domain::ClientId;
use tuberry_storage::portal_sessions::SignedIn;
use tuberry_storage::users::NoJobs;

/// Somebody who is signed in, on a page of the portal. Nobody: the sign-in page.
#[derive(Clone)]
pub(super) struct Visitor {
    pub language: Language,
    pub signed_in: SignedIn,
    pub session: SessionCookie,
    /// The page, to come back to.
    pub path: String,
    /// In a demo: where the simulated Telegram is.
    pub simulator: Option<String>,
}

impl Visitor {
    /// May change things.
    pub fn may_change(&self) -> bool {
        self.signed_in.user.may_change()
    }

    /// The platform's administrator.
    pub fn is_platform(&self) -> bool {
        self.signed_in.user.is_platform()
    }

    pub fn text(&self, id: &str) -> String {
        self.language.text(id)
    }
}

impl FromRequestParts<AppState> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        let Ok(language) = Language::from_request_parts(parts, state).await;
        let path = match OriginalUri::from_request_parts(parts, state).await {
            Ok(OriginalUri(uri)) => uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        };
        let session = SessionCookie::of(&parts.headers);
        let found = match &session {
            Some(session) => sessions::find(&state.store, session).await,
            None => Ok(None),
        };
        match (found, session) {
            (Ok(Some(signed_in)), Some(session)) => {
                let simulator = state.demo.as_ref().map(|demo| demo.simulator.clone());
                Ok(Self { language, signed_in, session, path, simulator })
            }
            (Err(error), _) => Err(layout::outage(language, &error)),
            _ => {
                let query = reqwest::Url::parse_with_params("http://x/sign-in", [("next", local(&path))]).expect("a URL");
                Err(Redirect::to(&format!("/sign-in?{}", query.query().unwrap_or_default())).into_response())
            }
        }
    }
}

/// A visitor with a tenant: whose pages `/client…` are. The platform's administrator has none and finds the jobs instead.
#[derive(Clone)]
pub(super) struct Cabinet {
    pub visitor: Visitor,
    pub client: ClientId,
}

impl FromRequestParts<AppState> for Cabinet {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        let visitor = Visitor::from_request_parts(parts, state).await?;
        match visitor.signed_in.user.client {
            Some(client) => Ok(Self { visitor, client }),
            None if visitor.is_platform() => Err(Redirect::to("/admin/jobs").into_response()),
            None => Err(layout::refused(&visitor, "no-tenant")),
        }
    }
}

/// Somebody who may see jobs: owners and admins those of their tenant, the platform's administrator all. Managers: 403.
#[derive(Clone)]
pub(super) struct Operator {
    pub visitor: Visitor,
    /// Whose jobs; `None`: everybody's.
    pub client: Option<ClientId>,
}

impl FromRequestParts<AppState> for Operator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        let visitor = Visitor::from_request_parts(parts, state).await?;
        match visitor.signed_in.user.jobs() {
            Ok(client) => Ok(Self { visitor, client }),
            Err(NoJobs::Role) => Err(layout::refused(&visitor, "forbidden")),
            Err(NoJobs::Tenant) => Err(layout::refused(&visitor, "no-tenant")),
        }
    }
}

/// The platform's administrator. Everybody else: 403.
#[derive(Clone)]
pub(super) struct Administrator(pub Visitor);

impl FromRequestParts<AppState> for Administrator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        let visitor = Visitor::from_request_parts(parts, state).await?;
        if visitor.is_platform() { Ok(Self(visitor)) } else { Err(layout::refused(&visitor, "platform-only")) }
    }
}

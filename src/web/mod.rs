//! The portal: pages rendered here, and the little JavaScript that they need. Pages read from storage; whatever changes something is a call of
//! the REST interface (`http`), which takes the session's cookie beside bearer tokens. Only signing in and out, the language and one's own password
//! are forms of pages.

mod accounts;
mod api_docs;
mod assets;
mod dialogs;
mod jobs;
mod layout;
mod live;
mod login;
mod parts;
mod password;
mod project;
mod projects;
mod said;
mod settings;
mod sign_in;
mod texts;
mod unknown;
mod visitor;
mod workers;

pub use live::end_streams;

use crate::http::AppState;
use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Redirect;
use axum::routing::{get, post};
use tower_http::set_header::SetResponseHeaderLayer;

/// Nothing but our own files; nothing inline; no frames.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// The pages, and what answers to paths that nobody knows.
pub fn router() -> Router<AppState> {
    let header =
        |name: HeaderName, value: &'static str| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    Router::new()
        .route("/", get(async || Redirect::to("/client")))
        .route("/client", get(projects::list))
        .route("/client/dialogs", get(dialogs::list))
        .route("/client/dialogs/live", get(dialogs::live_list))
        .route("/client/dialogs/{id}", get(dialogs::show))
        .route("/client/dialogs/{id}/live", get(dialogs::live_page))
        .route("/admin", get(async || Redirect::to("/admin/jobs")))
        .route("/admin/jobs", get(jobs::dashboard))
        .route("/admin/jobs/live", get(jobs::live_dashboard))
        .route("/admin/jobs/{id}", get(jobs::show))
        .route("/admin/jobs/{id}/live", get(jobs::live_page))
        .route("/admin/workers", get(workers::show))
        .route("/admin/workers/live", get(workers::live))
        .route("/client/projects/{id}", get(project::show))
        .route("/client/projects/{id}/events", get(project::events))
        .route("/client/logins/{id}/events", get(login::events))
        .route("/client/settings", get(settings::show))
        .route("/client/settings/events", get(settings::events))
        .route("/api/docs", get(api_docs::show))
        .route("/sign-in", get(sign_in::form).post(sign_in::submit))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/password", get(password::form).post(password::submit))
        .route("/language", post(texts::choose))
        .route("/assets/{version}/{file}", get(assets::serve))
        .fallback(unknown::answer)
        .layer(header(header::CONTENT_SECURITY_POLICY, POLICY))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(header::REFERRER_POLICY, "same-origin"))
        .layer(header(header::CACHE_CONTROL, "no-store"))
}

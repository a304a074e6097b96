//! The REST interface: one folder per resource, one file per verb. It knows storage, jobs and domain's ports; it reaches neither
//! Telegram's connections nor the fleet.
//!
//! Every route under [`protected`] stands behind [`auth`], the one place that decides who may call what.

mod accounts;
mod auth;
mod board;
mod bots;
mod dialogs;
mod extract;
mod health;
mod jobs;
mod logins;
mod page;
mod problem;
mod projects;
mod request;
mod sign_in;
mod telegram_chats;
mod webhooks;

pub use board::board;
pub(crate) use page::Position;
pub use problem::Problem;
pub(crate) use problem::no_such_route;

use crate::credentials::Attempts;
use crate::tokens::Tokens;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, patch, post, put};
use axum::{Router, middleware};
use std::sync::Arc;
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::normalize_path::NormalizePathLayer;
use tuberry_domain::ports::{BotApi, PasswordProof};
use tuberry_domain::{BotId, Sealer, Secret};
use tuberry_storage::Store;

/// Largest body of a request, in bytes. Webhooks have a limit of their own.
const BODY_LIMIT: usize = 64 * 1024;

/// Computes the proof of a 2FA password from `account.Password` in TL bytes. Blocks for 75–210 ms of CPU; errors are for the log.
pub type PasswordProver = Arc<dyn Fn(&[u8], &Secret<String>) -> Result<PasswordProof, String> + Send + Sync>;

/// Where Telegram finds our webhooks.
#[derive(Clone, Debug)]
pub struct Webhooks {
    /// `WEBHOOK_BASE_URL` without a trailing slash.
    pub base_url: String,
}

impl Webhooks {
    /// The address of a bot's webhook; it holds the secret.
    pub fn url(&self, bot: BotId, secret: &Secret<String>) -> Secret<String> {
        Secret::new(format!("{}/api/webhooks/telegram/{bot}/{}", self.base_url, secret.expose()))
    }
}

/// What the portal shows of a demo.
#[derive(Clone, Debug)]
pub struct Demo {
    /// Who may sign in.
    pub email: String,
    /// The password: no secret, the demo shows it to everybody.
    pub password: String,
    /// The simulated Telegram, for people: phones and working groups.
    pub simulator: String,
}

/// What handlers use. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// The database.
    pub store: Store,
    /// Opens what jobs sealed.
    pub sealer: Arc<Sealer>,
    /// Bearer tokens.
    pub tokens: Tokens,
    /// The Bot API.
    pub bot_api: Arc<dyn BotApi>,
    /// SRP.
    pub prover: PasswordProver,
    /// `None`: operators' messages come by polling.
    pub webhooks: Option<Webhooks>,
    /// How long a login may take.
    pub login_lifetime: Duration,
    /// Failed sign-ins of this process.
    pub attempts: Arc<Attempts>,
    /// There when this is a demo.
    pub demo: Option<Demo>,
}

/// The whole interface. Answers with and without a trailing slash.
pub fn router(state: AppState) -> Router {
    let open = Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/api/auth/login", post(sign_in::sign_in))
        .route("/api/webhooks/telegram/{bot}/{secret}", post(webhooks::receive));
    let routes = open
        .merge(protected(&state))
        .merge(crate::web::router())
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(CatchPanicLayer::custom(problem::after_panic))
        .layer(middleware::from_fn(request::observe))
        .with_state(state);
    Router::new().fallback_service(tower::Layer::layer(&NormalizePathLayer::trim_trailing_slash(), routes))
}

/// What needs a bearer token.
fn protected(state: &AppState) -> Router<AppState> {
    const ACCOUNTS: &str = "/api/personal-telegram-accounts";
    Router::new()
        .route(ACCOUNTS, get(accounts::list))
        .route(&format!("{ACCOUNTS}/{{id}}"), patch(accounts::update).delete(accounts::delete))
        .route(&format!("{ACCOUNTS}/{{id}}/proxy"), put(accounts::set_proxy).delete(accounts::remove_proxy))
        .route(&format!("{ACCOUNTS}/login"), post(logins::start))
        .route(&format!("{ACCOUNTS}/login/{{id}}"), get(logins::status).delete(logins::cancel))
        .route(&format!("{ACCOUNTS}/login/{{id}}/password"), post(logins::password))
        .route(&format!("{ACCOUNTS}/login/{{id}}/qr.svg"), get(logins::svg))
        .route(&format!("{ACCOUNTS}/login/{{id}}/qr.png"), get(logins::png))
        .route("/api/projects", get(projects::list).post(projects::create))
        .route("/api/projects/{id}", get(projects::read).patch(projects::update))
        .route("/api/bots", get(bots::list).post(bots::create))
        .route("/api/bots/{id}", get(bots::read).patch(bots::update))
        .route("/api/telegram-chats", get(telegram_chats::list))
        .route("/api/dialogs", get(dialogs::list))
        .route("/api/dialogs/{id}/messages", get(dialogs::messages))
        .route("/api/jobs", get(jobs::list))
        .route("/api/jobs/kinds", get(jobs::kinds))
        .route("/api/jobs/kinds/{kind}/pause", post(jobs::pause))
        .route("/api/jobs/kinds/{kind}/resume", post(jobs::resume))
        .route("/api/jobs/retry", post(jobs::retry_all))
        .route("/api/jobs/{id}", get(jobs::read).delete(jobs::delete))
        .route("/api/jobs/{id}/retry", post(jobs::retry))
        .route("/api/jobs/{id}/cancel", post(jobs::cancel))
        .route("/api/jobs/{id}/run-now", post(jobs::run_now))
        .route_layer(middleware::from_fn_with_state(state.clone(), auth::require))
}

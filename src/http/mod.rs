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
mod openapi;
mod page;
mod problem;
mod projects;
mod request;
mod sign_in;
mod telegram_chats;
mod webhooks;

pub use board::board;
pub(crate) use openapi::DOCUMENT;
pub(crate) use page::Position;
pub use problem::Problem;
pub(crate) use problem::no_such_route;

use crate::credentials::Attempts;
use crate::tokens::Tokens;
use axum::extract::DefaultBodyLimit;
use axum::{Router, middleware};
use std::sync::Arc;
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::normalize_path::NormalizePathLayer;
use tuberry_domain::ports::{BotApi, PasswordProof};
use tuberry_domain::{BotId, Sealer, Secret};
use tuberry_storage::Store;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

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
    /// Opens what jobs sealed, and seals accounts' proxies.
    pub sealer: Arc<Sealer>,
    /// Bearer tokens.
    pub tokens: Tokens,
    /// The Bot API.
    pub bot_api: Arc<dyn BotApi>,
    /// SRP.
    pub prover: PasswordProver,
    /// `None`: operators' messages come by polling, or to somebody else (`BOT_UPDATES=off`).
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
    let (open, _) = open().split_for_parts();
    let (protected, _) = protected().split_for_parts();
    let routes = open
        .merge(protected.route_layer(middleware::from_fn_with_state(state.clone(), auth::require)))
        .merge(crate::web::router())
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(CatchPanicLayer::custom(problem::after_panic))
        .layer(middleware::from_fn(request::observe))
        .with_state(state);
    Router::new().fallback_service(tower::Layer::layer(&NormalizePathLayer::trim_trailing_slash(), routes))
}

/// What anybody may call. Whoever adds a route here or to [`protected`] describes it in the same place: `#[utoipa::path]` on its handler.
fn open() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(openapi::serve))
        .routes(routes!(sign_in::sign_in))
        .routes(routes!(webhooks::receive))
}

/// What needs a bearer token or a session of the portal.
fn protected() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(accounts::list))
        .routes(routes!(accounts::update, accounts::delete))
        .routes(routes!(accounts::set_proxy, accounts::remove_proxy))
        .routes(routes!(logins::start))
        .routes(routes!(logins::status, logins::cancel))
        .routes(routes!(logins::password))
        .routes(routes!(logins::svg))
        .routes(routes!(logins::png))
        .routes(routes!(projects::list, projects::create))
        .routes(routes!(projects::read, projects::update))
        .routes(routes!(bots::list, bots::create))
        .routes(routes!(bots::read, bots::update))
        .routes(routes!(telegram_chats::list))
        .routes(routes!(dialogs::list))
        .routes(routes!(dialogs::messages))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::kinds))
        .routes(routes!(jobs::pause))
        .routes(routes!(jobs::resume))
        .routes(routes!(jobs::retry_all))
        .routes(routes!(jobs::read, jobs::delete))
        .routes(routes!(jobs::retry))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::run_now))
}

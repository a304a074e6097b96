//! The environment as typed settings. An empty value means the default; what cannot be used is refused, all of it at once, with one line
//! each that names the variable. Secrets come wrapped. Nothing else in the service reads settings from the environment, but the log's filter and
//! OpenTelemetry's exporter; the demo passes some on to its processes, and what is the system's own (`PATH`, `HOSTNAME`) is read where it is needed.

mod retention;
mod telegram;
mod traces;
mod unknown;
mod variables;

pub use telegram::{Application, Telegram};
pub use traces::Traces;
pub use unknown::{ignored, typos};
pub use variables::{Effective, VARIABLES, Variable, effective};

use crate::http::Demo;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;
use tuberry_domain::{Sealer, Secret};
use tuberry_jobs::Retention;

/// A variable that the service cannot start with.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct Refused {
    /// The variable.
    pub name: &'static str,
    /// What is wrong with it, never its value where that is a secret.
    pub reason: String,
}

/// Everything that the service cannot start with; shown with one line each.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Refusals(pub Vec<Refused>);

impl Refusals {
    /// What was read, or `fallback` where it is refused, so that the others are read, too.
    fn or<T>(&mut self, read: Result<T, Refused>, fallback: T) -> T {
        read.unwrap_or_else(|refused| {
            self.0.push(refused);
            fallback
        })
    }

    fn add(&mut self, name: &'static str, reason: impl Into<String>) {
        self.0.push(Refused { name, reason: reason.into() });
    }

    /// `read`, unless something was refused.
    fn settle<T>(self, read: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(read) } else { Err(self) }
    }
}

impl std::error::Error for Refusals {}

impl std::fmt::Display for Refusals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines: Vec<String> = self.0.iter().map(Refused::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// How operators' messages reach us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BotUpdates {
    /// Telegram calls `POST /api/webhooks/telegram/…` under `WEBHOOK_BASE_URL`.
    Webhook,
    /// A worker calls `getUpdates`.
    Polling,
    /// Not to us: an existing Tuberry's backend takes them, and queues replies in Redis (`BOT_UPDATES=off`).
    Off,
}

/// Where PostgreSQL is. Enough for `migrate` and `user`.
#[derive(Clone, Debug)]
pub struct Database {
    /// `DATABASE_URL`, for pools; may go through a transaction pooler.
    pub url: Secret<String>,
    /// `DATABASE_DIRECT_URL`, for advisory locks and LISTEN: straight to PostgreSQL. By default the same.
    pub direct_url: Secret<String>,
}

/// The secrets that sessions are sealed under. Enough, with [`Database`], for `session`.
#[derive(Clone, Debug)]
pub struct SessionSecrets {
    /// `PERSONAL_TELEGRAM_SESSION_SECRET`, or `APP_SECRET`: seals what stands in the database.
    pub current: Secret<String>,
    /// `PERSONAL_TELEGRAM_SESSION_SECRET_PREVIOUS`, comma-separated, and `APP_SECRET` where it is not the current one: they open only.
    pub previous: Vec<Secret<String>>,
}

/// Everything that `api` and `worker` need to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// PostgreSQL.
    pub database: Database,
    /// `REDIS_URL`, unless `REDIS_BRIDGE=off`; without it there is no task bridge.
    pub redis: Option<redis::Client>,
    /// `JWT_SECRET`: signs the bearer tokens (HS256).
    pub jwt_secret: Secret<String>,
    /// `JWT_EXPIRES`: lifetime of a bearer token.
    pub jwt_lifetime: Duration,
    /// What seals and opens what stands in the database.
    pub sessions: SessionSecrets,
    /// Telegram: where it is and as what we appear there.
    pub telegram: Telegram,
    /// `BOT_UPDATES`; by default webhook where `WEBHOOK_BASE_URL` is set, else polling.
    pub bot_updates: BotUpdates,
    /// `WEBHOOK_BASE_URL` without a trailing slash; always there with [`BotUpdates::Webhook`].
    pub webhook_base_url: Option<String>,
    /// `LISTEN`: address of the REST interface.
    pub listen: SocketAddr,
    /// `BOARD_LISTEN`: address of the queue's board; without it there is none.
    pub board_listen: Option<SocketAddr>,
    /// `METRICS_LISTEN`: address of the metrics of `api`; without it there is none.
    pub metrics_listen: Option<SocketAddr>,
    /// `RETENTION_…`: how long is kept what has served.
    pub retention: Retention,
    /// `DEMO_OWNER`, «address password»: whom the sign-in page invites; only beside a simulator.
    pub demo: Option<Demo>,
    /// `WORKER_LISTEN`: address of a worker's health and metrics; without it there is none.
    pub worker_listen: Option<SocketAddr>,
    /// `WORKER_MAX_ACCOUNTS`: how many accounts one worker takes at most.
    pub worker_max_accounts: u32,
    /// `WORKER_WEIGHT`: this worker's share of the accounts in proportion to the others', from 1 to 1000.
    pub worker_weight: u32,
    /// `WORKER_CONNECTS_PER_SECOND`: how many accounts one worker connects, or connects again, per second.
    pub worker_connects_per_second: NonZeroU32,
}

/// Reads single variables: trims, takes empty for absent, and names the variable when it refuses.
struct Environment<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Environment<'_> {
    fn text(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn required(&self, name: &'static str) -> Result<String, Refused> {
        self.text(name).ok_or(Refused { name, reason: "must be set".into() })
    }

    fn parsed<T: std::str::FromStr>(&self, name: &'static str, default: T, expected: &str) -> Result<T, Refused> {
        Ok(self.optional(name, expected)?.unwrap_or(default))
    }

    fn optional<T: std::str::FromStr>(&self, name: &'static str, expected: &str) -> Result<Option<T>, Refused> {
        let parse = |value: String| {
            value.parse().map_err(|_| Refused { name, reason: format!("expected {expected}, found «{value}»") })
        };
        self.text(name).map(parse).transpose()
    }

    /// An `http(s)://` URL without its trailing slash.
    fn http_url(&self, name: &'static str) -> Result<Option<reqwest::Url>, Refused> {
        let Some(value) = self.text(name) else { return Ok(None) };
        match value.parse::<reqwest::Url>() {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(Some(url)),
            _ => Err(Refused { name, reason: "expected an http:// or https:// URL".into() }),
        }
    }
}

fn without_slash(url: &reqwest::Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// Translates what Python's driver reads: `postgresql+asyncpg://…?ssl=require` → `postgresql://…?sslmode=require`.
fn database_url(name: &'static str, value: String) -> Result<Secret<String>, Refused> {
    let (scheme, rest) = value.split_once("://").unwrap_or(("", ""));
    let scheme = scheme.split('+').next().unwrap_or_default();
    if !matches!(scheme, "postgres" | "postgresql") {
        return Err(Refused { name, reason: "expected a postgresql:// URL".into() });
    }
    let rest = match rest.split_once('?') {
        None => rest.to_owned(),
        Some((place, query)) => {
            let parameters =
                query.split('&').map(|one| one.strip_prefix("ssl=").map_or(one.to_owned(), |mode| format!("sslmode={mode}")));
            format!("{place}?{}", parameters.collect::<Vec<_>>().join("&"))
        }
    };
    Ok(Secret::new(format!("{scheme}://{rest}")))
}

impl Database {
    /// Reads `DATABASE_URL` and `DATABASE_DIRECT_URL`.
    pub fn read(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, Refusals> {
        let mut refused = Refusals::default();
        let database = Self::examine(&Environment(variable), &mut refused);
        refused.settle(database)
    }

    fn examine(environment: &Environment<'_>, refused: &mut Refusals) -> Self {
        let nowhere = || Secret::new(String::new());
        let url = environment.required("DATABASE_URL").and_then(|value| database_url("DATABASE_URL", value));
        let url = refused.or(url, nowhere());
        let direct_url = match environment.text("DATABASE_DIRECT_URL") {
            None => url.clone(),
            Some(value) => refused.or(database_url("DATABASE_DIRECT_URL", value), nowhere()),
        };
        Self { url, direct_url }
    }
}

impl SessionSecrets {
    /// Reads `PERSONAL_TELEGRAM_SESSION_SECRET`, `…_PREVIOUS` and `APP_SECRET`.
    pub fn read(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, Refused> {
        let environment = Environment(variable);
        let app_secret = Secret::new(environment.required("APP_SECRET")?);
        let own_secret = environment.text("PERSONAL_TELEGRAM_SESSION_SECRET").map(Secret::new);
        let previous = environment.text("PERSONAL_TELEGRAM_SESSION_SECRET_PREVIOUS").unwrap_or_default();
        let mut previous: Vec<_> = previous
            .split(',')
            .map(str::trim)
            .filter(|secret| !secret.is_empty())
            .map(|secret| Secret::new(secret.to_owned()))
            .collect();
        if own_secret.is_some() {
            previous.push(app_secret.clone());
        }
        Ok(Self { current: own_secret.unwrap_or(app_secret), previous })
    }

    /// A sealer with them.
    pub fn sealer(&self) -> Sealer {
        Sealer::new(&self.current, &self.previous)
    }
}

impl Settings {
    /// Reads everything from `variable`, which stands for the environment.
    pub fn read(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, Refusals> {
        let (settings, refused) = Self::examine(variable);
        refused.settle(settings)
    }

    /// Reads what can be read, with a default or nothing in the place of what is refused: for whoever looks into a broken installation.
    pub fn examine(variable: &dyn Fn(&str) -> Option<String>) -> (Self, Refusals) {
        let environment = Environment(variable);
        let mut refused = Refusals::default();
        let database = Database::examine(&environment, &mut refused);
        let nothing = || SessionSecrets { current: Secret::new(String::new()), previous: Vec::new() };
        let sessions = refused.or(SessionSecrets::read(variable), nothing());
        let jwt_secret = Secret::new(refused.or(environment.required("JWT_SECRET"), String::new()));
        let an_hour = not_zero(3600);
        let jwt_lifetime = refused.or(environment.parsed("JWT_EXPIRES", an_hour, "a number of seconds above 0"), an_hour);
        let webhook_base = refused.or(environment.http_url("WEBHOOK_BASE_URL"), None);
        let telegram = Telegram::examine(&environment, &mut refused);
        let bot_updates = bot_updates(&environment, webhook_base.as_ref(), &telegram, &mut refused);
        let (listen, board_listen) = addresses(&environment, &mut refused);
        let pace = not_zero(250);
        let settings = Self {
            demo: refused.or(demo(&environment, &telegram), None),
            database,
            redis: refused.or(redis_client(&environment), None),
            jwt_secret,
            jwt_lifetime: Duration::from_secs(jwt_lifetime.get().into()),
            sessions,
            telegram,
            bot_updates,
            webhook_base_url: webhook_base.as_ref().map(without_slash),
            listen,
            board_listen,
            metrics_listen: refused.or(environment.optional("METRICS_LISTEN", "an address like 127.0.0.1:8083"), None),
            retention: retention::read(&environment, &mut refused),
            worker_listen: refused.or(environment.optional("WORKER_LISTEN", "an address like 127.0.0.1:8081"), None),
            worker_max_accounts: refused.or(environment.parsed("WORKER_MAX_ACCOUNTS", 1000, "a number"), 1000),
            worker_weight: refused.or(worker_weight(&environment), 1),
            worker_connects_per_second: refused
                .or(environment.parsed("WORKER_CONNECTS_PER_SECOND", pace, "a number above 0"), pace),
        };
        refused.or(log_filter(&environment), ());
        refused.or(Traces::read(variable, "").map(drop), ());
        (settings, refused)
    }

    /// Reads the environment of this process. Beside what [`Settings::read`] refuses, a name that is nearly one of ours is refused; others that
    /// begin like ours are only told of in the log.
    pub fn from_env() -> Result<Self, Refusals> {
        let (settings, mut refused) = Self::examine(&process_environment);
        let names = process_names();
        refused.0.extend(typos(&names));
        for name in ignored(&names) {
            tracing::warn!(name, "variable ignored: no setting has this name");
        }
        refused.settle(settings)
    }
}

/// The environment of this process, for [`Settings::read`] and [`Database::read`].
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Names of this process' variables that have a value.
pub fn process_names() -> Vec<String> {
    let variables = std::env::vars_os().filter(|(_, value)| !value.to_string_lossy().trim().is_empty());
    variables.filter_map(|(name, _)| name.into_string().ok()).collect()
}

fn redis_client(environment: &Environment<'_>) -> Result<Option<redis::Client>, Refused> {
    let refused = |reason: &str| Refused { name: "REDIS_URL", reason: reason.into() };
    // Its value may hold a password, and stays untold.
    let client = match environment.text("REDIS_URL") {
        None => None,
        // A fragment is where the library's URLs ask for no check of certificates.
        Some(url) if url.contains('#') => return Err(refused("certificates are checked: a URL without #")),
        Some(url) => Some(redis::Client::open(url).map_err(|_| refused("expected a redis:// or rediss:// URL"))?),
    };
    match environment.text("REDIS_BRIDGE").as_deref() {
        Some("off") => Ok(None),
        None => Ok(client),
        Some("consume") if client.is_some() => Ok(client),
        Some("consume") => Err(refused("must be set with REDIS_BRIDGE=consume")),
        Some(other) => Err(Refused { name: "REDIS_BRIDGE", reason: format!("expected consume or off, found «{other}»") }),
    }
}

const fn not_zero(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("not zero")
}

fn worker_weight(environment: &Environment<'_>) -> Result<u32, Refused> {
    const NAME: &str = "WORKER_WEIGHT";
    const EXPECTED: &str = "a number from 1 to 1000";
    match environment.parsed(NAME, 1, EXPECTED)? {
        weight @ 1..=1000 => Ok(weight),
        weight => Err(Refused { name: NAME, reason: format!("expected {EXPECTED}, found «{weight}»") }),
    }
}

/// `LISTEN` and `BOARD_LISTEN`: two different ones.
fn addresses(environment: &Environment<'_>, refused: &mut Refusals) -> (SocketAddr, Option<SocketAddr>) {
    let default = SocketAddr::from(([127, 0, 0, 1], 8080));
    let listen = refused.or(environment.parsed("LISTEN", default, "an address like 127.0.0.1:8080"), default);
    let board_listen = refused.or(environment.optional("BOARD_LISTEN", "an address like 127.0.0.1:8082"), None);
    if board_listen == Some(listen) && listen.port() != 0 {
        refused.add("BOARD_LISTEN", "must differ from LISTEN");
    }
    (listen, board_listen)
}

fn log_filter(environment: &Environment<'_>) -> Result<(), Refused> {
    let Some(filter) = environment.text("RUST_LOG") else { return Ok(()) };
    let read = tracing_subscriber::EnvFilter::try_new(filter);
    read.map(drop).map_err(|error| Refused { name: "RUST_LOG", reason: error.to_string() })
}

fn demo(environment: &Environment<'_>, telegram: &Telegram) -> Result<Option<Demo>, Refused> {
    let refuse = |reason: &str| Err(Refused { name: "DEMO_OWNER", reason: reason.into() });
    let Some(owner) = environment.text("DEMO_OWNER") else { return Ok(None) };
    let Some(simulator) = telegram.simulator.clone() else { return refuse("only together with TELEGRAM_SIMULATOR") };
    match owner.split_once(' ') {
        None => refuse("expected an address and a password, with a space between them"),
        Some((email, password)) => Ok(Some(Demo { email: email.to_owned(), password: password.to_owned(), simulator })),
    }
}

fn bot_updates(
    environment: &Environment<'_>,
    webhook_base: Option<&reqwest::Url>,
    telegram: &Telegram,
    refused: &mut Refusals,
) -> BotUpdates {
    const BASE: &str = "WEBHOOK_BASE_URL";
    let updates = match environment.text("BOT_UPDATES").as_deref() {
        None if webhook_base.is_some() => BotUpdates::Webhook,
        None | Some("polling") => BotUpdates::Polling,
        Some("webhook") => BotUpdates::Webhook,
        Some("off") => BotUpdates::Off,
        Some(other) => {
            refused.add("BOT_UPDATES", format!("expected webhook, polling or off, found «{other}»"));
            BotUpdates::Polling
        }
    };
    if updates == BotUpdates::Off && environment.text("REDIS_URL").is_none() {
        refused.add("REDIS_URL", "must be set with BOT_UPDATES=off: replies come from there");
    } else if updates == BotUpdates::Off && environment.text("REDIS_BRIDGE").as_deref() == Some("off") {
        refused.add("REDIS_BRIDGE", "must not be off with BOT_UPDATES=off: replies come from there");
    }
    match webhook_base {
        _ if updates != BotUpdates::Webhook => {}
        // One that is there and cannot be used is refused already.
        None if environment.text(BASE).is_none() => refused.add(BASE, "must be set with BOT_UPDATES=webhook"),
        Some(url) if url.scheme() == "http" && telegram.bot_api_base == telegram::BOT_API => {
            refused.add(BASE, "Telegram calls https:// addresses only");
        }
        _ => {}
    }
    updates
}

#[cfg(test)]
mod tests;

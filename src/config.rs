//! The environment as typed settings. An empty value means the default; what cannot be used is refused with one line that names
//! the variable. Secrets come wrapped. Nothing else in the service reads the environment.

mod telegram;

pub use telegram::{Application, Telegram};

use crate::http::DemoOwner;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;
use tuberry_domain::{Sealer, Secret};

/// A variable that the service cannot start with.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct Refused {
    /// The variable.
    pub name: &'static str,
    /// What is wrong with it, never its value where that is a secret.
    pub reason: String,
}

/// How operators' messages reach us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BotUpdates {
    /// Telegram calls `POST /api/webhooks/telegram/…` under `WEBHOOK_BASE_URL`.
    Webhook,
    /// A worker calls `getUpdates`.
    Polling,
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
    /// `REDIS_URL`; without it there is no task bridge.
    pub redis_url: Option<Secret<String>>,
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
    /// `DEMO_OWNER`, «address password»: whom the sign-in page invites; only beside a simulator.
    pub demo_owner: Option<DemoOwner>,
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

/// Takes Python's driver suffix off: `postgresql+asyncpg://…` → `postgresql://…`.
fn database_url(name: &'static str, value: String) -> Result<Secret<String>, Refused> {
    let (scheme, rest) = value.split_once("://").unwrap_or(("", ""));
    let scheme = scheme.split('+').next().unwrap_or_default();
    if !matches!(scheme, "postgres" | "postgresql") {
        return Err(Refused { name, reason: "expected a postgresql:// URL".into() });
    }
    Ok(Secret::new(format!("{scheme}://{rest}")))
}

impl Database {
    /// Reads `DATABASE_URL` and `DATABASE_DIRECT_URL`.
    pub fn read(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, Refused> {
        let environment = Environment(variable);
        let url = database_url("DATABASE_URL", environment.required("DATABASE_URL")?)?;
        let direct_url = match environment.text("DATABASE_DIRECT_URL") {
            None => url.clone(),
            Some(value) => database_url("DATABASE_DIRECT_URL", value)?,
        };
        Ok(Self { url, direct_url })
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
    pub fn read(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, Refused> {
        let environment = Environment(variable);
        let sessions = SessionSecrets::read(variable)?;
        let webhook_base_url = environment.http_url("WEBHOOK_BASE_URL")?.as_ref().map(without_slash);
        let telegram = Telegram::read(&environment)?;
        Ok(Self {
            demo_owner: demo_owner(&environment).filter(|_| telegram.simulator.is_some()),
            database: Database::read(variable)?,
            redis_url: environment.text("REDIS_URL").map(Secret::new),
            jwt_secret: Secret::new(environment.required("JWT_SECRET")?),
            jwt_lifetime: Duration::from_secs(environment.parsed("JWT_EXPIRES", 3600u32, "seconds")?.into()),
            sessions,
            telegram,
            bot_updates: bot_updates(&environment, webhook_base_url.is_some())?,
            webhook_base_url,
            listen: environment.parsed("LISTEN", SocketAddr::from(([127, 0, 0, 1], 8080)), "an address like 127.0.0.1:8080")?,
            board_listen: environment.optional("BOARD_LISTEN", "an address like 127.0.0.1:8082")?,
            worker_listen: environment.optional("WORKER_LISTEN", "an address like 127.0.0.1:8081")?,
            worker_max_accounts: environment.parsed("WORKER_MAX_ACCOUNTS", 1000, "a number")?,
            worker_weight: environment.parsed("WORKER_WEIGHT", 1, "a number")?.clamp(1, 1000),
            worker_connects_per_second: environment.parsed(
                "WORKER_CONNECTS_PER_SECOND",
                NonZeroU32::new(250).expect("not zero"),
                "a number above 0",
            )?,
        })
    }

    /// Reads the environment of this process.
    pub fn from_env() -> Result<Self, Refused> {
        Self::read(&process_environment)
    }
}

/// The environment of this process, for [`Settings::read`] and [`Database::read`].
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn demo_owner(environment: &Environment<'_>) -> Option<DemoOwner> {
    let owner = environment.text("DEMO_OWNER")?;
    let (email, password) = owner.split_once(' ')?;
    Some(DemoOwner { email: email.to_owned(), password: password.to_owned() })
}

fn bot_updates(environment: &Environment<'_>, webhook_base: bool) -> Result<BotUpdates, Refused> {
    match environment.text("BOT_UPDATES").as_deref() {
        None if webhook_base => Ok(BotUpdates::Webhook),
        None | Some("polling") => Ok(BotUpdates::Polling),
        Some("webhook") if webhook_base => Ok(BotUpdates::Webhook),
        Some("webhook") => Err(Refused { name: "WEBHOOK_BASE_URL", reason: "must be set with BOT_UPDATES=webhook".into() }),
        Some(other) => Err(Refused { name: "BOT_UPDATES", reason: format!("expected webhook or polling, found «{other}»") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: [(&str, &str); 3] =
        [("DATABASE_URL", "postgresql+asyncpg://u:p@db:5432/tuberry"), ("APP_SECRET", "app"), ("JWT_SECRET", "jwt")];

    fn read(more: &[(&str, &str)]) -> Result<Settings, Refused> {
        Settings::read(&|name| {
            let found = more.iter().chain(&LEAST).find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn refused(name: &'static str, value: &str) -> String {
        let refused = read(&[(name, value)]).expect_err("refused");
        assert_eq!(refused.name, name);
        refused.to_string()
    }

    #[test]
    fn an_empty_value_means_the_default() {
        let settings = read(&[
            ("LISTEN", ""),
            ("JWT_EXPIRES", " "),
            ("PERSONAL_TELEGRAM_QR_TIMEOUT", ""),
            ("REDIS_URL", ""),
            ("BOARD_LISTEN", " "),
        ])
        .unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.jwt_lifetime, Duration::from_secs(3600));
        assert_eq!(settings.telegram.qr_timeout, Duration::from_secs(180));
        assert_eq!(settings.telegram.device_model, "Samsung Galaxy S24 Ultra");
        assert_eq!(settings.bot_updates, BotUpdates::Polling);
        assert!(settings.board_listen.is_none());
        assert!(settings.redis_url.is_none() && settings.telegram.application.is_none());
    }

    #[test]
    fn pythons_driver_suffix_is_accepted() {
        let database = read(&[]).unwrap().database;
        assert_eq!(database.url.expose(), "postgresql://u:p@db:5432/tuberry");
        assert_eq!(database.direct_url.expose(), database.url.expose());
        let direct = read(&[("DATABASE_DIRECT_URL", "postgres://u@direct/tuberry")]).unwrap().database.direct_url;
        assert_eq!(direct.expose(), "postgres://u@direct/tuberry");
    }

    #[test]
    fn empty_secrets_and_unknown_words_refuse_to_start() {
        for name in ["APP_SECRET", "JWT_SECRET", "DATABASE_URL"] {
            assert_eq!(refused(name, ""), format!("{name}: must be set"));
        }
        assert!(refused("BOT_UPDATES", "carrier-pigeon").contains("carrier-pigeon"));
        assert!(refused("DATABASE_URL", "mysql://u:geheim@db/x").contains("postgresql://"));
        assert!(!refused("DATABASE_URL", "mysql://u:geheim@db/x").contains("geheim"));
        refused("LISTEN", "8080");
        refused("BOARD_LISTEN", "on");
        refused("JWT_EXPIRES", "-1");
        refused("WEBHOOK_BASE_URL", "example.org");
        refused("WORKER_MAX_ACCOUNTS", "many");
        refused("WORKER_WEIGHT", "0.5");
        refused("WORKER_CONNECTS_PER_SECOND", "0");
        assert_eq!(read(&[("BOT_UPDATES", "webhook")]).unwrap_err().name, "WEBHOOK_BASE_URL");
    }

    #[test]
    fn the_sessions_own_secret_comes_before_the_applications() {
        assert_eq!(read(&[]).unwrap().sessions.current.expose(), "app");
        let own =
            read(&[("PERSONAL_TELEGRAM_SESSION_SECRET", "own"), ("PERSONAL_TELEGRAM_SESSION_SECRET_PREVIOUS", "a, b")]).unwrap();
        assert_eq!(own.sessions.current.expose(), "own");
        let previous: Vec<_> = own.sessions.previous.iter().map(|secret| secret.expose().as_str()).collect();
        assert_eq!(previous, ["a", "b", "app"]);
    }

    #[test]
    fn secrets_are_not_printed() {
        let printed = format!("{:?}", read(&[("REDIS_URL", "redis://:geheim@r"), ("APP_SECRET", "geheim")]).unwrap());
        assert!(!printed.contains("geheim"), "{printed}");
    }

    #[test]
    fn the_board_has_an_address_of_its_own() {
        let settings = read(&[("BOARD_LISTEN", "127.0.0.1:8082")]).unwrap();
        assert_eq!(settings.board_listen, Some(SocketAddr::from(([127, 0, 0, 1], 8082))));
        assert_eq!(settings.listen.port(), 8080);
    }

    #[test]
    fn a_webhook_base_turns_webhooks_on() {
        let settings = read(&[("WEBHOOK_BASE_URL", "https://tuberry.example/")]).unwrap();
        assert_eq!(settings.bot_updates, BotUpdates::Webhook);
        assert_eq!(settings.webhook_base_url.as_deref(), Some("https://tuberry.example"));
        let polling = read(&[("WEBHOOK_BASE_URL", "https://tuberry.example"), ("BOT_UPDATES", "polling")]).unwrap();
        assert_eq!(polling.bot_updates, BotUpdates::Polling);
    }
}

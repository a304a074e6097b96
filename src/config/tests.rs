//! What settings are read as, and which are refused.

use super::*;

const LEAST: [(&str, &str); 3] =
    [("DATABASE_URL", "postgresql+asyncpg://u:p@db:5432/tuberry"), ("APP_SECRET", "app"), ("JWT_SECRET", "jwt")];

fn read(more: &[(&str, &str)]) -> Result<Settings, Refusals> {
    Settings::read(&|name| {
        let found = more.iter().chain(&LEAST).find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn refused(name: &'static str, value: &str) -> String {
    let refusals = read(&[(name, value)]).expect_err("refused");
    assert_eq!(refusals.0.iter().map(|refused| refused.name).collect::<Vec<_>>(), [name]);
    refusals.to_string()
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
    assert!(settings.redis.is_none() && settings.telegram.application.is_none());
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
    refused("WORKER_WEIGHT", "1001");
    refused("JWT_EXPIRES", "0");
    refused("RUST_LOG", "info,=,[");
    assert!(!refused("DEMO_OWNER", "anna@example.org geheim").contains("geheim"));
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let lines = |more: &[(&str, &str)]| read(more).expect_err("refused").to_string();
    assert_eq!(lines(&[("BOT_UPDATES", "webhook")]), "WEBHOOK_BASE_URL: must be set with BOT_UPDATES=webhook");
    let plain = ("WEBHOOK_BASE_URL", "http://tuberry.example");
    assert_eq!(lines(&[plain]), "WEBHOOK_BASE_URL: Telegram calls https:// addresses only");
    assert!(read(&[plain, ("TELEGRAM_API_BASE", "http://bot-api:8081")]).is_ok(), "an own Bot API calls any address");
    assert!(lines(&[("BOT_UPDATES", "off")]).starts_with("REDIS_URL: must be set"));
    let bridged = read(&[("BOT_UPDATES", "off"), ("REDIS_URL", "redis://redis/0")]).unwrap();
    assert_eq!(bridged.bot_updates, BotUpdates::Off);
    assert_eq!(lines(&[("BOARD_LISTEN", "127.0.0.1:8080")]), "BOARD_LISTEN: must differ from LISTEN");
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let wrong =
        read(&[("APP_SECRET", ""), ("LISTEN", "here"), ("PERSONAL_TELEGRAM_API_ID", "5"), ("TELEGRAM_PROXY", "http://p")]);
    let text = wrong.expect_err("refused").to_string();
    let names: Vec<&str> = text.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(names, ["APP_SECRET", "PERSONAL_TELEGRAM_API_HASH", "TELEGRAM_PROXY", "LISTEN"]);
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
fn the_bridge_stands_where_redis_is_unless_it_is_off() {
    let redis = ("REDIS_URL", "redis://:geheim@redis:6379/0");
    assert!(read(&[redis]).unwrap().redis.is_some());
    assert!(read(&[redis, ("REDIS_BRIDGE", "consume")]).unwrap().redis.is_some());
    assert!(read(&[redis, ("REDIS_BRIDGE", "off")]).unwrap().redis.is_none());
    assert!(!refused("REDIS_URL", "http://:geheim@redis").contains("geheim"));
    assert!(read(&[("REDIS_URL", "rediss://redis:6380/0")]).unwrap().redis.is_some());
    refused("REDIS_URL", "rediss://redis/#insecure");
    refused("REDIS_BRIDGE", "on");
    assert_eq!(read(&[("REDIS_BRIDGE", "consume")]).unwrap_err().0[0].name, "REDIS_URL");
}

#[test]
fn a_url_of_pythons_driver_keeps_what_it_says_of_tls() {
    let url = |value| read(&[("DATABASE_URL", value)]).unwrap().database.url;
    for (given, read) in [
        ("postgresql+asyncpg://u:p@db/t?ssl=verify-full", "postgresql://u:p@db/t?sslmode=verify-full"),
        ("postgres://db/t?application_name=ssl=1&ssl=require", "postgres://db/t?application_name=ssl=1&sslmode=require"),
        ("postgres://db/t?sslmode=require", "postgres://db/t?sslmode=require"),
    ] {
        assert_eq!(url(given).expose(), read);
    }
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

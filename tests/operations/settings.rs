//! `tuberry config`.

use crate::support::run;
use serde_json::Value;

const SETTINGS: [(&str, &str); 5] = [
    ("DATABASE_URL", "postgresql+asyncpg://tuberry:db-geheim@db/tuberry"),
    ("APP_SECRET", "app-geheim"),
    ("JWT_SECRET", "jwt-geheim"),
    ("REDIS_URL", "redis://:redis-geheim@redis:6379/0"),
    ("WORKER_WEIGHT", "3"),
];

#[tokio::test]
async fn the_settings_in_effect_are_shown_without_secrets() {
    for arguments in [&["config"][..], &["config", "--json"]] {
        let shown = run(arguments, &SETTINGS, "").await;
        assert!(shown.success, "{}", shown.stderr);
        assert!(!shown.stdout.contains("geheim") && !shown.stderr.contains("geheim"), "{}", shown.stdout);
    }
    let shown = run(&["config", "--json"], &SETTINGS, "").await.stdout;
    let shown: Vec<Value> = serde_json::from_str(&shown).unwrap();
    let one = |name: &str| {
        let found = shown.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{name} in {shown:?}"));
        (found["value"].as_str(), found["source"].as_str().unwrap())
    };
    assert_eq!(one("WORKER_WEIGHT"), (Some("3"), "set"));
    assert_eq!(one("JWT_EXPIRES"), (Some("3600"), "default"));
    assert_eq!(one("BOT_UPDATES"), (Some("polling"), "default"));
    assert_eq!(one("APP_SECRET"), (Some("••••"), "set"));
    assert_eq!(one("DATABASE_DIRECT_URL"), (Some("postgresql://tuberry:••••@db/tuberry"), "default"));
    assert_eq!(one("TELEGRAM_PROXY"), (None, "default"));
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_shown_and_refused() {
    let mut settings = SETTINGS.to_vec();
    settings.extend([("LISTEN", "8080"), ("WORKER_MAX_ACCOUNT", "5"), ("WORKER_THREADS", "4")]);
    settings.retain(|(name, _)| *name != "JWT_SECRET");
    let shown = run(&["config"], &settings, "").await;
    assert!(!shown.success);
    assert!(shown.stdout.lines().any(|line| line.starts_with("JWT_SECRET ") && line.contains("missing")), "{}", shown.stdout);
    for line in [
        "tuberry: JWT_SECRET: must be set",
        "tuberry: LISTEN: expected an address like 127.0.0.1:8080, found «8080»",
        "tuberry: WORKER_MAX_ACCOUNTS: not set, but WORKER_MAX_ACCOUNT is: a misspelling?",
    ] {
        assert!(shown.stderr.lines().any(|found| found == line), "{line} in {}", shown.stderr);
    }
    assert!(shown.stderr.contains("WORKER_THREADS"), "ignored, but told of: {}", shown.stderr);
}

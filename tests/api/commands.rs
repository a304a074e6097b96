//! The command line around the interface: settings that are refused, the database's migrations, users.

use super::App;
use crate::support::{Ended, empty_database, run};
use serde_json::json;

/// Runs `tuberry` to its end: success, standard output, last line of standard error.
async fn tuberry(arguments: &[&str], environment: &[(&str, &str)], input: &str) -> (bool, String, String) {
    let Ended { success, stdout, stderr } = run(arguments, environment, input).await;
    (success, stdout, stderr.lines().last().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn every_setting_that_cannot_be_used_is_named_in_a_line_of_its_own() {
    let url = ("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/x");
    let secret = ("APP_SECRET", "app");
    for (environment, lines) in [
        (vec![url], &["tuberry: APP_SECRET: must be set", "tuberry: JWT_SECRET: must be set"][..]),
        (vec![url, secret, ("JWT_SECRET", "")], &["tuberry: JWT_SECRET: must be set"]),
        (vec![secret, ("JWT_SECRET", "jwt")], &["tuberry: DATABASE_URL: must be set"]),
        (
            vec![url, secret, ("JWT_SECRET", "jwt"), ("WORKER_LISTENS", "127.0.0.1:8081")],
            &["tuberry: WORKER_LISTEN: not set, but WORKER_LISTENS is: a misspelling?"],
        ),
    ] {
        let Ended { success, stderr, .. } = run(&["api"], &environment, "").await;
        assert!(!success);
        assert_eq!(stderr.lines().collect::<Vec<_>>(), lines);
    }
}

#[tokio::test]
async fn a_database_without_migrations_is_refused_until_it_is_migrated() {
    let database = empty_database().await;
    let url = ("DATABASE_URL", database.url.as_str());
    let environment = [url, ("APP_SECRET", "app"), ("JWT_SECRET", "jwt"), ("LISTEN", "127.0.0.1:0")];
    let (success, _, last) = tuberry(&["api"], &environment, "").await;
    assert!(!success && last.contains("run `tuberry migrate`"), "{last}");

    // Twice at the same time, and once more.
    let url = [url];
    let (first, second) = tokio::join!(tuberry(&["migrate"], &url, ""), tuberry(&["migrate"], &url, ""));
    assert!(first.0 && second.0, "{} {}", first.2, second.2);
    assert!(tuberry(&["migrate"], &url, "").await.0);
    assert_eq!(tuberry_storage::migrations::missing(database.store.pool()).await.unwrap(), 0);

    // Without an old Tuberry the time of both ends at once: nothing is kept in its form.
    let finished = async || tuberry_storage::moving::is_finished(database.store.pool()).await.unwrap();
    assert!(!finished().await);
    let (success, says, last) = tuberry(&["migrate", "--finish"], &[url[0], ("APP_SECRET", "app")], "").await;
    assert!(success && says.contains("0 tokens"), "{says} {last}");
    assert!(finished().await);
}

#[tokio::test]
async fn a_created_user_signs_in() {
    let app = App::start().await;
    let url = [("DATABASE_URL", app.database.url.as_str())];
    let create = ["user", "create", "--email", "owner@example.org", "--new-client", "Ромашка", "--password-stdin"];
    let (success, id, last) = tuberry(&create, &url, "correct horse\n").await;
    assert!(success, "{last}");
    assert!(id.trim().parse::<i32>().is_ok(), "{id}");
    let body = json!({ "email": "owner@example.org", "password": "correct horse" }).to_string();
    let token = app.send("POST", "/api/auth/login", None, body).await.ok(200).json()["access_token"].as_str().unwrap().to_owned();
    app.send("POST", "/api/projects", Some(&token), json!({ "name": "Проект" }).to_string()).await.ok(201);

    let before = app.fingerprint().await;
    for (arguments, password) in [
        (&create[..], "correct horse\n"),
        (&["user", "create", "--email", "second@example.org", "--new-client", "Лютик", "--password-stdin"][..], "ромашка12\n"),
        (&["user", "create", "--email", "second@example.org", "--new-client", "Лютик", "--password-stdin"][..], &"x".repeat(257)),
        (&["user", "create", "--email", "second@example.org", "--client", "99999", "--password-stdin"][..], "correct horse\n"),
        (&["user", "create", "--email", "second@example.org", "--role", "manager", "--password-stdin"][..], "correct horse\n"),
        (&["user", "create", "--email", "nonsense", "--role", "admin", "--password-stdin"][..], "correct horse\n"),
    ] {
        assert!(!tuberry(arguments, &url, password).await.0, "{arguments:?}");
    }
    assert_eq!(app.fingerprint().await, before);
}

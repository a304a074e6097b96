//! The description of the interface: complete, shown to people, and true, which schemathesis judges with real processes.

use super::App;
use crate::support::{Process, Setup, Stack, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use tuberry_domain::Secret;
use tuberry_storage::users::{self, NewUser, Role};

/// Schemathesis takes half a minute on an idle machine.
const PATIENCE: Duration = Duration::from_secs(300);

const PASSWORD: &str = "correct horse battery";

/// Path, verb and description of every operation.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| item.as_object().unwrap().iter().map(move |(verb, of)| (path.as_str(), verb.as_str(), of)))
        .collect()
}

#[tokio::test]
async fn every_route_error_and_body_is_described_with_an_example() {
    let app = App::start().await;
    let answer = app.send("GET", "/api/openapi.json", None, "").await.ok(200);
    assert_eq!(answer.headers["content-type"], "application/json");
    let document = answer.json();
    assert_eq!(document["openapi"], "3.1.0");
    let tags: BTreeSet<&str> = document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    let ids: BTreeSet<&str> = operations(&document).iter().map(|(_, _, of)| of["operationId"].as_str().unwrap()).collect();
    assert!(ids.len() > 30 && ids.len() == operations(&document).len(), "operations share an id");
    for (path, verb, operation) in operations(&document) {
        let place = format!("{verb} {path}");
        assert!(operation["summary"].as_str().is_some_and(|summary| summary.ends_with('.')), "{place}");
        assert!(tags.contains(operation["tags"][0].as_str().unwrap()), "{place}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let schema = &parameter["schema"];
            let bounded = ["minimum", "maxLength", "pattern", "format", "$ref"].iter().any(|bound| schema.get(bound).is_some());
            assert!(bounded || path.contains("webhooks"), "{place}: {parameter}");
        }
        if let Some(body) = operation.get("requestBody") {
            assert!(body["content"]["application/json"]["example"].is_object(), "{place}: {body}");
        }
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let place = format!("{place} {status}");
            assert!(answer["description"].as_str().is_some_and(|description| !description.is_empty()), "{place}");
            if let Some(content) = answer["content"].get("application/problem+json") {
                assert_eq!(content["example"]["status"].to_string(), *status, "{place}");
                let detail = content["example"]["detail"].as_str().unwrap_or_else(|| panic!("{place}: no detail"));
                assert!(detail.chars().any(|letter| matches!(letter, 'а'..='я')), "{place}: {detail}");
            } else if let Some(content) = answer["content"].get("application/json") {
                assert!(!content["example"].is_null(), "{place}");
            } else {
                assert!(status.starts_with('2'), "{place} has no body");
            }
            for link in answer["links"].as_object().into_iter().flat_map(|links| links.values()) {
                assert!(ids.contains(link["operationId"].as_str().unwrap()), "{place}: {link}");
            }
        }
    }
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name} is not described");
    }
}

#[test]
fn no_route_is_added_without_a_description() {
    let router = include_str!("../../src/http/mod.rs");
    assert!(router.contains(".routes(routes!(") && !router.contains(".route("), "use routes!, which wants a description");
}

#[tokio::test]
async fn what_is_described_as_protected_wants_somebody_who_is_signed_in() {
    let app = App::start().await;
    let document = app.send("GET", "/api/openapi.json", None, "").await.json();
    let mut open = BTreeSet::new();
    for (path, verb, operation) in operations(&document) {
        if operation.get("security").is_none() {
            open.insert(path);
            continue;
        }
        let path = path.replace("{id}", "1").replace("{kind}", "log-out");
        app.send(&verb.to_uppercase(), &path, None, "{}").await.problem(401);
    }
    let wanted = ["/api/auth/login", "/api/openapi.json", "/api/webhooks/telegram/{bot}/{secret}", "/healthz", "/readyz"];
    assert_eq!(open, BTreeSet::from(wanted));
}

#[tokio::test]
async fn people_read_it_on_a_page_that_needs_nothing_from_elsewhere() {
    let app = App::start().await;
    let document = app.send("GET", "/api/openapi.json", None, "").await.json();
    let page = app.send("GET", "/api/docs", None, "").await.ok(200);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    for foreign in ["src=\"http", "href=\"http", "src=\"//", "href=\"//", "<style", " style=", " onclick="] {
        assert!(!page.text.contains(foreign), "{foreign}");
    }
    for (path, _, operation) in operations(&document) {
        assert!(page.text.contains(&format!("<code>{path}</code>")), "{path}");
        for status in operation["responses"].as_object().unwrap().keys() {
            assert!(page.text.contains(&format!("<strong>{status}</strong>")), "{status}");
        }
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(page.text.contains(&format!("id=\"schema-{name}\"")), "{name}");
    }
    for link in page.text.split("href=\"#").skip(1) {
        let target = link.split('"').next().unwrap();
        assert!(page.text.contains(&format!("id=\"{target}\"")), "#{target} leads nowhere");
    }
    assert!(page.text.contains("Параметры"));
    let english = app.client.get(format!("{}/api/docs", app.base)).header("accept-language", "en").send().await.unwrap();
    assert!(english.text().await.unwrap().contains("Parameters"));
}

/// The owner calls everything, in every way; managers, strangers and the platform's administrator what differs for them.
#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_no_server_error_and_no_undocumented_answer() {
    let stack = Stack::start(Setup { updates: "webhook", ..Setup::default() }).await;
    let employees = stack.seed_accounts(3).await;
    stack.wait_all_served(3, Duration::from_secs(60)).await;
    let customer = stack.person("Иван").await;
    for (employee, _) in &employees {
        stack.write(customer, *employee, "Здравствуйте").await;
    }
    wait_until(Duration::from_secs(60), "three topics", async || (stack.topics().await.len() == 3).then_some(())).await;
    let manager = signed_in(&stack, &stack.user(Role::Manager, PASSWORD).await).await;
    let platform = signed_in(&stack, &platform_admin(&stack).await).await;

    let owner = Some(stack.tenant.token.as_str());
    let signing_in = ["--exclude-operation-id", "sign_in"];
    tokio::join!(
        judge(&stack, owner, "examples,coverage,fuzzing,stateful", &["--max-examples", "12"]),
        judge(&stack, Some(&manager), "coverage", &signing_in),
        judge(&stack, None, "examples", &signing_in),
    );
    // It pauses kinds of jobs: nobody may wait for one any more.
    judge(&stack, Some(&platform), "examples,coverage", &["--include-tag", "jobs"]).await;
}

/// Lets schemathesis call the interface with a token. Its report is shown when it is not content.
async fn judge(stack: &Stack, token: Option<&str>, phases: &str, options: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = root.join("target/venv/bin/schemathesis");
    assert!(program.exists(), "target/venv is incomplete: run `make setup`");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let document = format!("{}/api/openapi.json", stack.url());
    let authorization = format!("Authorization: Bearer {}", token.unwrap_or_default());
    let config = root.join("tests/api/schemathesis.toml");
    // It leaves files where it runs.
    let mut arguments = vec!["-C", folder.path().to_str().unwrap(), program.to_str().unwrap()];
    arguments.extend(["--config-file", config.to_str().unwrap(), "run", &document, "--phases", phases, "--seed", "1"]);
    arguments.extend(["--generation-database", "none", "--continue-on-failure", "--no-color"]);
    if token.is_some() {
        arguments.extend(["-H", &authorization]);
    }
    arguments.extend(options);
    let secret: String =
        sqlx::query_scalar("select webhook_secret from bots where id = 1").fetch_one(stack.store().pool()).await.unwrap();
    let judge = Process::start("/usr/bin/env", &arguments, &[("WEBHOOK_SECRET", &secret), ("COLUMNS", "160")]).await;
    let verdict = tokio::time::timeout(PATIENCE, judge.wait()).await.unwrap_or_else(|_| panic!("no verdict within {PATIENCE:?}"));
    let report = judge.output();
    assert!(verdict.success(), "{verdict} with {phases} {options:?}: {report}");
    assert!(report.contains("generated"), "it called nothing: {report}");
}

/// A bearer token for an address.
async fn signed_in(stack: &Stack, email: &str) -> String {
    let body = json!({ "email": email, "password": PASSWORD });
    let (status, token) = stack.call("POST", "/api/auth/login", "", Some(body)).await;
    assert_eq!(status, 200, "{token}");
    token["access_token"].as_str().unwrap().to_owned()
}

async fn platform_admin(stack: &Stack) -> String {
    let email = "platform@example.org".to_owned();
    let hashed_password = Secret::new(tuberry::passwords::hash(&Secret::new(PASSWORD.to_owned())));
    let mut tx = stack.store().begin().await.unwrap();
    users::create(&mut tx, &NewUser { email: email.clone(), hashed_password, role: Role::Admin, client: None })
        .await
        .unwrap()
        .unwrap();
    tx.commit().await.unwrap();
    email
}

//! Nothing that the product writes tells a secret: a whole working day with recognisable ones, then a search through everything that was written.

use crate::support::{Collector, Process, RedisServer, Setup, Stack, free_port, run, wait_until};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use futures::StreamExt;
use nix::sys::signal::Signal;
use reqwest::header::HeaderMap;
use serde_json::json;
use sqlx::AssertSqlSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

const SESSION_SECRET: &str = "sessions-seal-Quittengelee";
const FORMER_SECRET: &str = "former-seal-Zwetschgenmus";
const SECOND_FACTOR: &str = "zweiter-Faktor-Mirabelle";
const WRONG_FACTOR: &str = "falscher-Faktor-Reneklode";
const DATABASE_PASSWORD: &str = "datenbank-Stachelbeere";
const REDIS_PASSWORD: &str = "redis-Johannisbeere";
const PROXY_PASSWORD: &str = "proxy-Preiselbeere";
const API_HASH: &str = "hash-Heidelbeere";
const PORTAL_PASSWORD: &str = "portal-Brombeere";
const GIVEN_PASSWORD: &str = "eingegeben-Holunder";
const PHONE: &str = "79995550142";
const FROM_CUSTOMER: &str = "Где мой заказ Вишнёвка";
const FROM_OPERATOR: &str = "Заказ в пути Черешня";

/// A secret, and the tables that may hold it all the same.
struct Hidden {
    what: String,
    text: String,
    tables: &'static [&'static str],
}

#[derive(Default)]
struct Hoard(Vec<Hidden>);

impl Hoard {
    fn hide(&mut self, what: &str, text: &str, tables: &'static [&'static str]) {
        assert!(text.len() >= 10, "{what} is too short to be recognised");
        self.0.push(Hidden { what: what.to_owned(), text: text.to_owned(), tables });
    }

    /// A key in hex and in base64, wherever it begins in what was encoded.
    fn hide_key(&mut self, what: &str, key: &[u8]) {
        let hex: String = key[..24].iter().map(|byte| format!("{byte:02x}")).collect();
        self.hide(what, &hex, &[]);
        self.hide(what, &hex.to_uppercase(), &[]);
        self.hide(what, &key[..8].iter().map(u8::to_string).collect::<Vec<_>>().join(", "), &[]);
        for start in 0..3 {
            self.hide(what, &STANDARD.encode(&key[start..start + 24]), &[]);
            self.hide(what, &URL_SAFE.encode(&key[start..start + 24]), &[]);
        }
    }

    /// What of it stands in `text`.
    fn told(&self, place: &str, text: &str) -> Vec<String> {
        let mut told = Vec::new();
        for hidden in self.0.iter().filter(|hidden| !hidden.tables.contains(&place)) {
            if let Some((before, _)) = text.split_once(&hidden.text) {
                let context: String = before.chars().rev().take(200).collect::<Vec<_>>().into_iter().rev().collect();
                told.push(format!("{} in {place} behind: {context}", hidden.what));
            }
        }
        told
    }
}

/// Every table with all its rows as text.
async fn tables(stack: &Stack) -> Vec<(String, String)> {
    let pool = stack.store().pool();
    let names: Vec<(String, String)> = sqlx::query_as(
        "select schemaname::text, tablename::text from pg_tables where schemaname not in ('pg_catalog', 'information_schema') order by 1, 2",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut tables = Vec::new();
    for (schema, name) in names {
        let rows = format!(r#"select coalesce(string_agg(t::text, chr(10)), '') from "{schema}"."{name}" t"#);
        let rows: String = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_one(pool).await.unwrap();
        tables.push((if schema == "public" { name } else { format!("{schema}.{name}") }, rows));
    }
    tables
}

/// A request of anybody's: the status, and the answer with its headers.
async fn ask(stack: &Stack, method: &str, path: &str, token: Option<&str>, body: &str) -> (u16, String) {
    let client = reqwest::Client::new();
    let mut request = client.request(method.parse().unwrap(), format!("{}{path}", stack.url())).body(body.to_owned());
    request = request.header("content-type", "application/json");
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), format!("{:?}", answer.headers()));
    (status, format!("{headers}\n{}", answer.text().await.unwrap()))
}

/// Answers to requests that cannot be served, each with a secret in it.
async fn refusals(stack: &Stack, login: &str, account: i64) -> Vec<(String, String)> {
    let token = Some(stack.tenant.token.as_str());
    let accounts = "/api/personal-telegram-accounts";
    let long = format!("{GIVEN_PASSWORD}{}", "x".repeat(200));
    let secret: Option<String> =
        sqlx::query_scalar("select webhook_secret from bots").fetch_one(stack.store().pool()).await.unwrap();
    let secret = secret.unwrap();
    let cases = [
        ("POST", "/api/auth/login".to_owned(), None, json!({ "email": 5, "password": [GIVEN_PASSWORD] }).to_string()),
        (
            "POST",
            "/api/auth/login".to_owned(),
            None,
            json!({ "email": "anna@example.org", "password": GIVEN_PASSWORD }).to_string(),
        ),
        ("POST", "/api/auth/login".to_owned(), None, format!(r#"{{"password": "{GIVEN_PASSWORD}""#)),
        ("POST", format!("{accounts}/login/{login}/password"), token, json!({ "password": long }).to_string()),
        ("POST", format!("{accounts}/login/{login}/password"), token, json!({ "password": { "x": GIVEN_PASSWORD } }).to_string()),
        (
            "PUT",
            format!("{accounts}/{account}/proxy"),
            token,
            json!({ "url": format!("http://u:{PROXY_PASSWORD}@h:1") }).to_string(),
        ),
        ("PUT", format!("{accounts}/{account}/proxy"), token, json!({ "url": { "x": PROXY_PASSWORD } }).to_string()),
        ("POST", "/api/bots".to_owned(), token, json!({ "token": format!("{}/../x", stack.tenant.bot_token) }).to_string()),
        ("POST", "/api/bots".to_owned(), token, json!({ "token": format!("{}wrong", stack.tenant.bot_token) }).to_string()),
        ("POST", format!("/api/webhooks/telegram/1/{secret}wrong"), None, "{}".to_owned()),
        ("POST", format!("/api/webhooks/telegram/1/{secret}"), None, format!("{FROM_OPERATOR} {{")),
        ("GET", format!("/api/webhooks/telegram/1/{secret}"), None, String::new()),
        ("GET", "/api/jobs?limit=Vielbeere-geheim".to_owned(), Some("eyJ.wrong.Token"), String::new()),
    ];
    let mut refused = Vec::new();
    for (method, path, token, body) in cases {
        let (status, answer) = ask(stack, method, &path, token, &body).await;
        // A webhook that is not JSON is accepted, so that it does not come again.
        assert!(status >= 400 || path.contains("webhooks"), "{method} {path}: {status} {answer}");
        refused.push((format!("the answer to {method} {path}"), answer));
    }
    refused
}

/// What comes over the channel of events, from now on.
async fn events(redis: &RedisServer) -> Arc<Mutex<Vec<String>>> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let mut subscription = redis.client().get_async_pubsub().await.unwrap();
    subscription.subscribe("tuberry:personal:events").await.unwrap();
    let ear = heard.clone();
    tokio::spawn(async move {
        while let Some(event) = subscription.on_message().next().await {
            ear.lock().unwrap().push(event.get_payload::<String>().unwrap());
        }
    });
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_told_by_anything_that_is_written() {
    let worker_port = free_port();
    let (redis, collector) = (RedisServer::start().await, Collector::start().await);
    let events = events(&redis).await;
    let environment = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.clone()),
        ("PERSONAL_TELEGRAM_SESSION_SECRET", SESSION_SECRET.to_owned()),
        ("PERSONAL_TELEGRAM_SESSION_SECRET_PREVIOUS", FORMER_SECRET.to_owned()),
        ("PERSONAL_TELEGRAM_API_ID", "4242".to_owned()),
        ("PERSONAL_TELEGRAM_API_HASH", API_HASH.to_owned()),
        ("WORKER_LISTEN", format!("127.0.0.1:{worker_port}")),
        // The most that an operator would switch on when he looks for trouble.
        (
            "RUST_LOG",
            "debug,hyper=info,hyper_util=info,tuberry=trace,tuberry_jobs=trace,tuberry_storage=trace,tuberry_telegram=trace"
                .to_owned(),
        ),
    ];
    let stack = Stack::start(Setup { updates: "webhook", environment, redis: Some(redis.url()), ..Setup::default() }).await;
    let mut hoard = Hoard::default();
    for (what, text) in [
        ("APP_SECRET", crate::support::stack::APP_SECRET),
        ("JWT_SECRET", crate::support::stack::JWT_SECRET),
        ("the session secret", SESSION_SECRET),
        ("the former session secret", FORMER_SECRET),
        ("the 2FA password", SECOND_FACTOR),
        ("the wrong 2FA password", WRONG_FACTOR),
        ("a password that was typed somewhere", GIVEN_PASSWORD),
        ("the database's password", DATABASE_PASSWORD),
        ("Redis' password", REDIS_PASSWORD),
        ("a proxy's password", PROXY_PASSWORD),
        ("api_hash", API_HASH),
        ("a user's password", PORTAL_PASSWORD),
        ("a bearer token", &stack.tenant.token),
    ] {
        hoard.hide(what, text, &[]);
    }
    hoard.hide("a bot's token", &stack.tenant.bot_token, &["bots"]);
    hoard.hide("half of a bot's token", stack.tenant.bot_token.split_once(':').unwrap().1, &["bots"]);
    let secret: String = sqlx::query_scalar("select webhook_secret from bots").fetch_one(stack.store().pool()).await.unwrap();
    hoard.hide("the webhook's secret", &secret, &["bots"]);
    // People of the project see phone numbers and texts in the portal.
    const OF_MESSAGES: &[&str] =
        &["messages", "personal_telegram_messages", "personal_telegram_parts", "page /client/dialogs", "page /client/projects/1"];
    hoard.hide("a phone number", PHONE, &["personal_telegram_accounts", "page /client/projects/1", "page /client/settings"]);
    hoard.hide("a customer's text", FROM_CUSTOMER, OF_MESSAGES);
    hoard.hide("an operator's text", FROM_OPERATOR, OF_MESSAGES);

    // A login with a wrong and a right password.
    let email = stack.user(tuberry_storage::users::Role::Owner, PORTAL_PASSWORD).await;
    let (status, _) =
        ask(&stack, "POST", "/api/auth/login", None, &json!({ "email": email, "password": PORTAL_PASSWORD }).to_string()).await;
    assert_eq!(status, 200);
    let anna = stack.person_with(json!({ "first_name": "Анна", "phone": PHONE, "password": SECOND_FACTOR })).await;
    let ivan = stack.person("Иван").await;
    let (login, url) = stack.start_login().await;
    hoard.hide("a QR code", url.split_once("token=").unwrap().1, &[]);
    stack.scan_current(anna, &login).await;
    stack.login_becomes(&login, "password_required").await;
    assert_eq!(stack.password(&login, WRONG_FACTOR).await["status"], "password_required");
    let account = stack.password(&login, SECOND_FACTOR).await["account"]["id"].as_i64().unwrap();
    stack.wait_served(account).await;
    let keys: Vec<[u8; 256]> = stack.simulator.shared().lock().keys.values().map(|key| key.key).collect();
    assert!(!keys.is_empty());
    for key in &keys {
        hoard.hide_key("an authorization key", key);
    }

    // Messages both ways, with a Bot API and a Telegram that fail meanwhile.
    stack.write(ivan, anna, FROM_CUSTOMER).await;
    let topic = stack.topic("Иван").await;
    stack.answer(&topic, FROM_OPERATOR).await;
    wait_until(SOON, "the answer", async || (stack.received(ivan, anna).await == [FROM_OPERATOR]).then_some(())).await;
    for fault in [
        json!({ "kind": "bot_error", "method": "sendMessage", "status": 502, "description": "Bad Gateway", "times": 1 }),
        json!({ "kind": "bot_error", "method": "sendMessage", "status": 400, "description": "Bad Request: whatever", "times": 1 }),
        json!({ "kind": "lose_answer", "method": "bot.sendMessage", "times": 1 }),
        json!({ "kind": "rpc_error", "user": anna.0, "method": "messages.sendMessage", "code": 400, "message": "PEER_ID_INVALID", "times": 1 }),
    ] {
        stack.control("POST", "/faults", fault).await;
    }
    stack.write(ivan, anna, &format!("{FROM_CUSTOMER} 2")).await;
    stack.answer(&topic, &format!("{FROM_OPERATOR} 2")).await;
    wait_until(SOON, "the message in spite of all", async || {
        Stack::mirrored(&stack.topic("Иван").await).iter().any(|text| text.ends_with(" 2")).then_some(())
    })
    .await;
    wait_until(SOON, "a reply that failed", async || {
        let failed: i64 = sqlx::query_scalar("select count(*) from messages where status = 'failed'")
            .fetch_one(stack.store().pool())
            .await
            .ok()?;
        (failed > 0).then_some(())
    })
    .await;
    // An element of the old backend that cannot be read. (Its dead letter holds it as it came.)
    let broken = json!({ "type": "whatever", "payload": { "text": FROM_OPERATOR } }).to_string();
    redis.ask::<i64>(&["RPUSH", "tuberry:personal:tasks", &broken]).await;
    wait_until(SOON, "a dead letter", async || (redis.ask::<i64>(&["LLEN", "tuberry:personal:dead"]).await == 1).then_some(()))
        .await;
    let mut written = refusals(&stack, &login, account).await;
    let proxy = json!({ "url": format!("socks5://anna:{PROXY_PASSWORD}@127.0.0.1:1") }).to_string();
    let (status, answer) =
        ask(&stack, "PUT", &format!("/api/personal-telegram-accounts/{account}/proxy"), Some(&stack.tenant.token), &proxy).await;
    assert!(status < 300, "{answer}");
    wait_until(SOON, "a proxy that is away", async || {
        let (_, accounts) = stack.call("GET", "/api/personal-telegram-accounts", &stack.tenant.token, None).await;
        accounts.as_array()?.first()?["last_error"].as_str().filter(|text| text.contains("рокси")).map(drop)
    })
    .await;
    let (status, _) =
        ask(&stack, "DELETE", &format!("/api/personal-telegram-accounts/{account}/proxy"), Some(&stack.tenant.token), "").await;
    assert!(status < 300);

    // The portal's pages.
    let user = tuberry_storage::users::find_by_email(stack.store().pool(), &email).await.unwrap().unwrap().id;
    let cookie = tuberry::sessions::begin(stack.store(), &HeaderMap::new(), user).await.unwrap();
    let cookie = cookie.split(';').next().unwrap();
    hoard.hide("the portal's cookie", cookie.split_once('=').unwrap().1, &[]);
    let project = format!("/client/projects/{}", stack.tenant.project);
    for path in [
        "/client",
        "/client/settings",
        "/client/dialogs",
        &project,
        "/admin/jobs",
        "/admin/workers",
        "/nowhere/Vielbeere-geheim",
        "/password",
    ] {
        let page = reqwest::Client::new().get(format!("{}{path}", stack.url())).header("cookie", cookie).send().await.unwrap();
        written.push((format!("page {path}"), page.text().await.unwrap()));
    }
    let settings = written.iter().find(|(place, _)| place == "page /client/settings").unwrap();
    assert!(settings.1.contains("bot"), "signed in: {}", settings.1);

    // A session that is ended.
    stack.control("POST", "/faults", json!({ "kind": "revoke", "user": anna.0 })).await;
    stack.control("POST", "/faults", json!({ "kind": "drop_connections" })).await;
    wait_until(SOON, "an account in error", async || {
        let (_, accounts) = stack.call("GET", "/api/personal-telegram-accounts", &stack.tenant.token, None).await;
        (accounts.as_array()?.first()?["status"] == "error").then_some(())
    })
    .await;

    // Commands, with a database and a Redis that cannot be reached.
    let nowhere = format!("postgresql://tuberry:{DATABASE_PASSWORD}@127.0.0.1:1/tuberry");
    let no_url = format!("mysql://tuberry:{DATABASE_PASSWORD}@127.0.0.1:1/tuberry");
    let no_redis = format!("redis://:{REDIS_PASSWORD}@127.0.0.1:1/0");
    let own_proxy = format!("socks5://anna:{PROXY_PASSWORD}@127.0.0.1:1");
    let broken_proxy = format!("http://anna:{PROXY_PASSWORD}@127.0.0.1:1");
    for arguments in [
        &["config"][..],
        &["config", "--json"],
        &["doctor"],
        &["doctor", "--json"],
        &["migrate"],
        &["session", "list"],
        &["health", "worker", "--ready"],
    ] {
        for differences in [
            &[][..],
            &[("DATABASE_URL", nowhere.as_str()), ("REDIS_URL", &no_redis), ("TELEGRAM_PROXY", &own_proxy)],
            &[("DATABASE_URL", no_url.as_str()), ("TELEGRAM_PROXY", &broken_proxy)],
        ] {
            if arguments[0] == "migrate" && differences.is_empty() {
                continue;
            }
            let ended = run(arguments, &stack.environment_with(differences), "").await;
            written.push((format!("tuberry {}", arguments.join(" ")), format!("{}\n{}", ended.stdout, ended.stderr)));
        }
    }
    let waiting =
        Process::tuberry(&["api", "--listen", "127.0.0.1:0"], &stack.environment_with(&[("DATABASE_URL", &nowhere)])).await;
    wait_until(SOON, "an API that waits", async || waiting.output().contains("waiting for it").then_some(())).await;
    for path in ["metrics", "readyz"] {
        let text = reqwest::get(format!("http://127.0.0.1:{worker_port}/{path}")).await.unwrap().text().await.unwrap();
        written.push((format!("the worker's /{path}"), text));
    }
    written.push((
        "jobs over REST".to_owned(),
        stack.call("GET", "/api/jobs?limit=100", &stack.tenant.token, None).await.1.to_string(),
    ));
    written.extend(tables(&stack).await);
    for process in stack.apis.iter().chain(&stack.workers).chain([&waiting]) {
        process.signal(Signal::SIGTERM);
        assert!(process.wait().await.success(), "{}", process.output());
        written.push(("a log".to_owned(), process.output()));
    }

    let spans = collector.spans();
    assert!(spans.iter().any(|span| span.name == "job.send-reply"), "{} spans", spans.len());
    written.push(("traces".to_owned(), format!("{spans:?}")));
    let events = events.lock().unwrap().clone();
    assert!(events.len() > 3, "{events:?}");
    written.push(("events".to_owned(), events.join("\n")));

    // That it was a day worth searching, and that the search finds what is there.
    let logs: usize = written.iter().filter(|(place, _)| place == "a log").map(|(_, text)| text.lines().count()).sum();
    assert!(logs > 100, "{logs} lines");
    let of_messages = written.iter().find(|(place, _)| place == "messages").unwrap();
    assert!(of_messages.1.contains(FROM_CUSTOMER) && !hoard.told("elsewhere", &of_messages.1).is_empty());
    let told: Vec<String> = written.iter().flat_map(|(place, text)| hoard.told(place, text)).collect();
    assert!(told.is_empty(), "\n{}", told.join("\n"));
}

#[test]
fn the_search_finds_a_key_in_every_form() {
    let key: Vec<u8> = (0..=255).rev().collect();
    let mut hoard = Hoard::default();
    hoard.hide_key("a key", &key);
    for before in 0..4 {
        let mut bytes = vec![7u8; before];
        bytes.extend(&key);
        assert_eq!(hoard.told("x", &URL_SAFE.encode(&bytes)).len(), 1, "{before}");
        assert!(!hoard.told("x", &format!("{bytes:?}")).is_empty());
    }
    assert!(!hoard.told("x", &format!("\\x{}", key.iter().map(|byte| format!("{byte:02x}")).collect::<String>())).is_empty());
}

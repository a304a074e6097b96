//! One running interface per test, and rows that tests need.

use crate::support::{Database, database};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use telegram_simulator::{Options, Simulator};
use tuberry::credentials::Attempts;
use tuberry::http::{AppState, Webhooks, router};
use tuberry::tokens::Tokens;
use tuberry_domain::{ChatId, ClientId, DialogId, Sealer, Secret, ThreadId, UserId};
use tuberry_storage::users::{NewUser, Role};
use tuberry_storage::{Store, clients, topics, users};

/// Connections of the interface to the database.
const POOL: u32 = 10;

/// The interface and what it stands on.
pub struct App {
    pub database: Database,
    pub base: String,
    pub simulator: Option<Simulator>,
    pub client: reqwest::Client,
    pub sealer: Arc<Sealer>,
    pub tokens: Tokens,
}

/// A tenant's owner.
pub struct Owner {
    pub client: ClientId,
    pub user: UserId,
    pub token: String,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    /// The JSON body; null where there is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    pub fn id(&self) -> i32 {
        self.json()["id"].as_i64().unwrap_or_else(|| panic!("an id in {self:?}")).try_into().expect("a row's id")
    }

    /// Asserts a problem of this status with a Russian `detail`, which it returns.
    #[track_caller]
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        let body = self.json();
        assert_eq!(body["status"], status, "{self:?}");
        let detail = body["detail"].as_str().unwrap_or_else(|| panic!("no detail in {self:?}"));
        assert!(detail.chars().any(|letter| matches!(letter, 'а'..='я')), "not Russian: {detail}");
        detail.to_owned()
    }

    #[track_caller]
    pub fn ok(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

impl App {
    /// Nobody answers for the Bot API.
    pub async fn start() -> Self {
        Self::with("http://127.0.0.1:9", None, None, POOL).await
    }

    /// The Bot API is the simulator's; webhooks are set to an address where nobody listens.
    pub async fn with_simulator() -> Self {
        Self::with_simulator_and_pool(POOL).await
    }

    /// The same with so many connections to the database.
    pub async fn with_simulator_and_pool(connections: u32) -> Self {
        let simulator = Simulator::start(Options::default()).await.expect("a simulator");
        let base = simulator.http_url();
        Self::with(&base, Some(simulator), Some(Webhooks { base_url: "http://127.0.0.1:9".into() }), connections).await
    }

    async fn with(bot_api: &str, simulator: Option<Simulator>, webhooks: Option<Webhooks>, connections: u32) -> Self {
        let database = database().await;
        let sealer = Arc::new(Sealer::new(&Secret::new("tests".into()), &[]));
        let tokens = Tokens::new(&Secret::new("tests".into()), Duration::from_secs(60));
        let state = AppState {
            store: Store::open(&database.url, connections).expect("a URL that can be read"),
            sealer: sealer.clone(),
            tokens: tokens.clone(),
            bot_api: Arc::new(tuberry_telegram::HttpBotApi::new(bot_api).expect("a client")),
            prover: Arc::new(|parameters: &[u8], password: &Secret<String>| {
                tuberry_telegram::mtproto::srp::prove(parameters, password).map_err(|error| error.to_string())
            }),
            webhooks,
            login_lifetime: Duration::from_secs(180),
            attempts: Arc::new(Attempts::default()),
            demo: None,
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router(state)).await });
        let client = reqwest::Client::builder().timeout(Duration::from_secs(40)).build().expect("a client");
        Self { database, base, simulator, client, sealer, tokens }
    }

    /// Sends a request with raw bytes.
    pub async fn send(&self, method: &str, path: &str, token: Option<&str>, body: impl Into<reqwest::Body>) -> Answer {
        let method = method.parse().expect("a method");
        let mut request = self.client.request(method, format!("{}{path}", self.base)).body(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.expect("a body") }
    }

    pub async fn get(&self, path: &str, owner: &Owner) -> Answer {
        self.send("GET", path, Some(&owner.token), "").await
    }

    pub async fn post(&self, path: &str, owner: &Owner, body: Value) -> Answer {
        self.send("POST", path, Some(&owner.token), body.to_string()).await
    }

    pub async fn patch(&self, path: &str, owner: &Owner, body: Value) -> Answer {
        self.send("PATCH", path, Some(&owner.token), body.to_string()).await
    }

    pub async fn delete(&self, path: &str, owner: &Owner) -> Answer {
        self.send("DELETE", path, Some(&owner.token), "").await
    }

    /// A user in a role, of this tenant.
    pub async fn user(&self, role: Role, client: Option<ClientId>, hashed_password: &str) -> (UserId, String) {
        let email = format!("user{}@example.org", unique());
        let user = NewUser { email: email.clone(), hashed_password: Secret::new(hashed_password.into()), role, client };
        let mut tx = self.database.store.begin().await.expect("a transaction");
        let id = users::create(&mut tx, &user).await.expect("a user").expect("a free address");
        tx.commit().await.expect("a commit");
        (id, email)
    }

    /// A new tenant with its owner.
    pub async fn owner(&self) -> Owner {
        let mut tx = self.database.store.begin().await.expect("a transaction");
        let client = clients::create(&mut tx, "Магазин").await.expect("a client");
        tx.commit().await.expect("a commit");
        let (user, _) = self.user(Role::Owner, Some(client), "").await;
        Owner { client, user, token: self.tokens.issue(user).0 }
    }

    pub async fn project(&self, owner: &Owner) -> i32 {
        self.post("/api/projects", owner, json!({ "name": "Проект" })).await.ok(201).id()
    }

    /// A bot's row, as the old system would have written it.
    pub async fn bot(&self, owner: &Owner, group: Option<&str>, secret: &str) -> i32 {
        sqlx::query_scalar(
            "insert into bots (created_at, client_id, token, bot_username, status, group_chat_id, topic_mode, webhook_secret)
             values (now() at time zone 'utc', $1, $2 || ':AAAAAAAAAAAAAAAAAAAAAAAA', 'bot', 'active', $3, true, $4) returning id",
        )
        .bind(owner.client.0)
        .bind(unique().to_string())
        .bind(group)
        .bind(secret)
        .fetch_one(self.database.store.pool())
        .await
        .expect("a bot")
    }

    /// A connected account of a project, with a sealed session.
    pub async fn account(&self, owner: &Owner, project: i32) -> i32 {
        let id: i32 = sqlx::query_scalar(
            "insert into personal_telegram_accounts (created_at, client_id, project_id, display_name, username, phone, telegram_user_id, status,
                                                     accepts_private, accepts_groups, accepts_channels)
             values (now() at time zone 'utc', $1, $2, 'Анна', 'anna', '+7', '4711', 'active', true, false, false) returning id",
        )
        .bind(owner.client.0)
        .bind(project)
        .fetch_one(self.database.store.pool())
        .await
        .expect("an account");
        self.execute(&format!("insert into personal_telegram_sessions (account_id, sealed) values ({id}, 'v1.sealed')")).await;
        id
    }

    /// A dialog of an account, last active so many minutes ago.
    pub async fn dialog(&self, owner: &Owner, bot: i32, account: i32, chat: i64, minutes: i32) -> i32 {
        let id: i32 = sqlx::query_scalar(
            "insert into dialogs (created_at, client_id, project_id, source, personal_account_id, bot_id, avito_dialog_id, telegram_topic_id,
                                  telegram_chat_id, state, last_message_at, topic_intro_sent, external_reference, external_display_name)
             select now() at time zone 'utc', $1, a.project_id, 'personal_telegram', a.id, $2, 'ptg:' || a.id || ':' || $4, '7', b.group_chat_id, 'active',
                    now() at time zone 'utc' - make_interval(mins => $5), true, $4::text, 'Клиент'
               from personal_telegram_accounts a, bots b where a.id = $3 and b.id = $2 returning id",
        )
        .bind(owner.client.0)
        .bind(bot)
        .bind(account)
        .bind(chat.to_string())
        .bind(minutes)
        .fetch_one(self.database.store.pool())
        .await
        .expect("a dialog");
        let ours = format!(
            "insert into personal_telegram_dialogs (dialog_id, account_id, chat_id, waiting) values ({id}, {account}, {chat}, true)"
        );
        self.execute(&ours).await;
        id
    }

    /// A dialog's topic is made in this group.
    pub async fn topic_created(&self, dialog: i32, group: i64, topic: i64) {
        let (pool, dialog) = (self.database.store.pool(), DialogId(dialog));
        let begun = topics::topic_begins(pool, dialog).await.expect("a beginning").expect("a dialog");
        let created = topics::topic_created(pool, dialog, begun, ChatId(group), ThreadId(topic), "Клиент").await;
        assert!(created.expect("a topic"));
    }

    /// A message from the customer.
    pub async fn message(&self, dialog: i32, body: &str) -> i32 {
        sqlx::query_scalar(
            "insert into messages (created_at, dialog_id, direction, body, status, retries, is_auto_reply, is_client_message)
             values (now() at time zone 'utc', $1, 'personal_telegram_in', $2, 'delivered', 0, false, true) returning id",
        )
        .bind(dialog)
        .bind(body)
        .fetch_one(self.database.store.pool())
        .await
        .expect("a message")
    }

    /// Runs a statement.
    pub async fn execute(&self, statement: &str) {
        let statement = sqlx::AssertSqlSafe(statement.to_owned());
        sqlx::raw_sql(statement).execute(self.database.store.pool()).await.expect("a statement");
    }

    /// The single value of a query, as text.
    pub async fn value(&self, query: &str) -> Option<String> {
        let query = sqlx::AssertSqlSafe(format!("select ({query})::text"));
        sqlx::query_scalar(query).fetch_one(self.database.store.pool()).await.expect("a value")
    }

    /// A fingerprint of every table: equal before and after means that nothing was written.
    pub async fn fingerprint(&self) -> BTreeMap<String, Option<String>> {
        let tables: Vec<String> = sqlx::query_scalar(
            "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname in ('public', 'apalis', 'queue')",
        )
        .fetch_all(self.database.store.pool())
        .await
        .expect("tables");
        assert!(tables.len() > 20, "{tables:?}");
        let mut prints = BTreeMap::new();
        for table in tables {
            let print = self.value(&format!("select md5(string_agg(t::text, '|' order by t::text)) from {table} t")).await;
            prints.insert(table, print);
        }
        prints
    }
}

/// A number that no other row of this run has.
fn unique() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

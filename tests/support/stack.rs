//! The whole product against the simulator: real `tuberry api` and `tuberry worker` processes, a fresh database, one client with a project,
//! its managing bot and working group. Tests drive it as the outside does: over REST, over the simulator's control calls, and with signals.

use super::{Database, OwnCluster, Process, database, wait_until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::time::Duration;
use telegram_simulator::{Options, Simulator};
use tuberry::embedded::Tuning;
use tuberry::tokens::Tokens;
use tuberry_domain::{ClientId, Secret, UserId};
use tuberry_storage::Store;
use tuberry_storage::clients;
use tuberry_storage::users::{self, NewUser, Role};

/// Secrets of the tests' processes.
pub const APP_SECRET: &str = "app secret of the tests, long enough";
pub const JWT_SECRET: &str = "jwt secret of the tests, long enough";

/// How a stack is set up.
pub struct Setup {
    pub apis: usize,
    pub workers: usize,
    /// `webhook` or `polling`.
    pub updates: &'static str,
    /// Lifetime of a login token at the simulator.
    pub token_lifetime: Duration,
    /// `PERSONAL_TELEGRAM_QR_TIMEOUT`, seconds.
    pub qr_timeout: u32,
    /// A PostgreSQL of its own, which the test may restart.
    pub own_cluster: bool,
    /// That PostgreSQL of its own keeps its promises even when the power fails.
    pub durable: bool,
    /// `TELEGRAM_PROXY`.
    pub proxy: Option<String>,
    /// Further variables of all processes.
    pub environment: Vec<(&'static str, String)>,
    /// `REDIS_URL`.
    pub redis: Option<String>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            apis: 1,
            workers: 1,
            updates: "polling",
            token_lifetime: Duration::from_secs(30),
            qr_timeout: 180,
            own_cluster: false,
            durable: false,
            proxy: None,
            environment: Vec::new(),
            redis: None,
        }
    }
}

/// Where the stack's tables are.
enum Home {
    Shared(Database),
    Own(Box<OwnCluster>, Store),
}

/// A running product.
pub struct Stack {
    pub simulator: Simulator,
    home: Home,
    environment: Vec<(String, String)>,
    ports: Vec<u16>,
    pub apis: Vec<Process>,
    pub workers: Vec<Process>,
    client: reqwest::Client,
    pub tenant: Tenant,
}

/// A client with everything that belongs to it.
#[derive(Clone)]
pub struct Tenant {
    pub token: String,
    pub client: ClientId,
    pub project: i64,
    pub bot_token: String,
    pub forum: i64,
    pub operator: i64,
}

/// A customer or an account's owner at the simulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Person(pub i64);

impl Stack {
    /// A stack on a database that exists already, without processes and with an empty tenant: the test fills both in.
    pub async fn beside(simulator: Simulator, database: Database) -> Self {
        let environment = environment(&database.url, &simulator, &Setup::default());
        let tenant =
            Tenant { token: String::new(), client: ClientId(0), project: 0, bot_token: String::new(), forum: 0, operator: 0 };
        let client = reqwest::Client::builder().timeout(Duration::from_secs(40)).build().expect("a client");
        let (home, ports) = (Home::Shared(database), vec![free_port()]);
        Self { simulator, home, environment, ports, apis: Vec::new(), workers: Vec::new(), client, tenant }
    }

    /// A bearer token of a user.
    pub fn token_of(user: UserId) -> String {
        Tokens::new(&Secret::new(JWT_SECRET.to_owned()), Duration::from_secs(86_400)).issue(user).0
    }

    /// Runs a command of `tuberry` to its end: whether it succeeded, and what it printed.
    pub async fn command(&self, arguments: &[&str], differences: &[(&str, &str)]) -> (bool, String) {
        let differences: Vec<_> = differences.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let command = self.start_command(arguments, &differences).await;
        (command.wait().await.success(), command.output())
    }

    /// The same without waiting for its end.
    pub async fn start_command(&self, arguments: &[&str], differences: &[(String, String)]) -> Process {
        self.process(arguments, differences).await
    }

    pub async fn start(setup: Setup) -> Self {
        let simulator =
            Simulator::start(Options { token_lifetime: setup.token_lifetime, ..Options::default() }).await.expect("a simulator");
        let (home, url) = if setup.own_cluster {
            let cluster = OwnCluster::start_with(if setup.durable { Tuning::Durable } else { Tuning::Throwaway }).await;
            let url = cluster.url.clone();
            let store = Store::open(&url, 5).expect("a URL that can be read");
            (Home::Own(Box::new(cluster), store), url)
        } else {
            let database = database().await;
            let url = database.url.clone();
            (Home::Shared(database), url)
        };
        let ports: Vec<u16> = (0..setup.apis).map(|_| free_port()).collect();
        let mut environment = environment(&url, &simulator, &setup);
        if let Some(proxy) = setup.proxy {
            environment.push(("TELEGRAM_PROXY".into(), proxy));
        }
        environment.extend(setup.environment.into_iter().map(|(name, value)| (name.to_owned(), value)));
        if let Some(url) = setup.redis {
            environment.push(("REDIS_URL".into(), url));
        }
        if setup.updates == "webhook" {
            environment.push(("WEBHOOK_BASE_URL".into(), format!("http://127.0.0.1:{}", ports[0])));
        }
        let client = reqwest::Client::builder().timeout(Duration::from_secs(40)).build().expect("a client");
        let tenant =
            Tenant { token: String::new(), client: ClientId(0), project: 0, bot_token: String::new(), forum: 0, operator: 0 };
        let mut stack = Self { simulator, home, environment, ports, apis: Vec::new(), workers: Vec::new(), client, tenant };
        for index in 0..setup.apis {
            let api = stack.start_api(index).await;
            stack.apis.push(api);
        }
        for _ in 0..setup.workers {
            stack.add_worker().await;
        }
        for index in 0..setup.apis {
            stack.wait_for_api(index).await;
        }
        stack.tenant = stack.new_tenant("Ромашка").await;
        stack
    }

    pub fn store(&self) -> &Store {
        match &self.home {
            Home::Shared(database) => &database.store,
            Home::Own(_, store) => store,
        }
    }

    /// What every process of the stack is started with.
    pub fn environment(&self) -> Vec<(&str, &str)> {
        self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// The same with some variables set otherwise.
    pub fn environment_with<'a>(&'a self, differences: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let mut environment = self.environment();
        environment.retain(|(name, _)| !differences.iter().any(|(other, _)| other == name));
        environment.extend(differences);
        environment
    }

    /// The stack's own cluster.
    pub fn cluster(&self) -> &OwnCluster {
        match &self.home {
            Home::Own(cluster, _) => cluster,
            Home::Shared(_) => panic!("this stack shares its cluster"),
        }
    }

    /// Starts (again) the REST process number `index`, on its port.
    pub async fn start_api(&self, index: usize) -> Process {
        self.process(&["api", "--listen", &format!("127.0.0.1:{}", self.ports[index])], &[]).await
    }

    pub async fn wait_for_api(&self, index: usize) {
        let url = format!("{}/healthz", self.base(index));
        wait_until(Duration::from_secs(30), "an API that answers", async || self.client.get(&url).send().await.ok()).await;
    }

    pub async fn add_worker(&mut self) {
        let worker = self.start_worker_with(&[]).await;
        self.workers.push(worker);
    }

    /// A worker whose environment differs in these variables. It belongs to the caller.
    pub async fn start_worker_with(&self, differences: &[(String, String)]) -> Process {
        self.process(&["worker"], differences).await
    }

    /// Ends all processes in good order.
    pub async fn stop_processes(&mut self) {
        for process in self.apis.drain(..).chain(self.workers.drain(..)) {
            process.signal(Signal::SIGTERM);
            assert!(process.wait().await.success(), "{}", process.output());
        }
    }

    /// Starts as many REST processes as before and one worker, with another `BOT_UPDATES`.
    pub async fn start_processes(&mut self, updates: &str) {
        self.environment.retain(|(name, _)| name != "BOT_UPDATES" && name != "WEBHOOK_BASE_URL");
        self.environment.push(("BOT_UPDATES".into(), updates.into()));
        if updates == "webhook" {
            self.environment.push(("WEBHOOK_BASE_URL".into(), self.base(0)));
        }
        for index in 0..self.ports.len() {
            let api = self.start_api(index).await;
            self.apis.push(api);
            self.wait_for_api(index).await;
        }
        self.add_worker().await;
    }

    /// A call that the tenant's bot makes past us.
    pub async fn bot_call(&self, method: &str, parameters: Value) -> Value {
        let url = format!("{}/bot{}/{method}", self.simulator.http_url(), self.tenant.bot_token);
        let response = self.client.post(url).json(&parameters).send().await.expect("an answer of the simulator");
        let answer: Value = response.json().await.expect("JSON");
        assert_eq!(answer["ok"], true, "{method}: {answer}");
        answer["result"].clone()
    }

    /// How many MTProto connections with a key are open at the simulator.
    pub async fn connections(&self) -> i64 {
        self.control("GET", "/stats", Value::Null).await["connections"].as_i64().expect("a number")
    }

    /// `kill -9` of a worker, and a new one in its place.
    pub async fn replace_worker(&mut self, index: usize) {
        self.workers[index].kill().await;
        self.workers[index] = self.start_worker_with(&[]).await;
    }

    async fn process(&self, arguments: &[&str], differences: &[(String, String)]) -> Process {
        let environment: Vec<(&str, &str)> =
            self.environment.iter().chain(differences).map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Process::tuberry(arguments, &environment).await
    }

    /// Where the portal is.
    pub fn url(&self) -> String {
        self.base(0)
    }

    fn base(&self, api: usize) -> String {
        format!("http://127.0.0.1:{}", self.ports[api])
    }

    /// A call of our REST interface: status and JSON (null where there is none).
    pub async fn call(&self, method: &str, path: &str, token: &str, body: Option<Value>) -> (u16, Value) {
        self.call_at(0, method, path, token, body).await
    }

    pub async fn call_at(&self, api: usize, method: &str, path: &str, token: &str, body: Option<Value>) -> (u16, Value) {
        let method = method.parse().expect("an HTTP method");
        let mut request = self.client.request(method, format!("{}{path}", self.base(api))).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.expect("an answer of the API");
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or(Value::Null))
    }

    /// A control call of the simulator that succeeds.
    pub async fn control(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.try_control(method, path, body).await;
        assert!(status < 300, "{method} /control{path}: {status} {answer}");
        answer
    }

    pub async fn try_control(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/control{path}", self.simulator.http_url());
        let mut request = self.client.request(method.parse().expect("an HTTP method"), url);
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.expect("an answer of the simulator");
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or(Value::Null))
    }

    /// A client with owner, bot, working group and project, bound over REST.
    pub async fn new_tenant(&self, name: &str) -> Tenant {
        let mut tx = self.store().begin().await.expect("a transaction");
        let client = clients::create(&mut tx, name).await.expect("a client");
        let email = format!("owner{client}@example.org");
        let hashed_password = Secret::new("!".to_owned());
        let user = NewUser { email, hashed_password, role: Role::Owner, client: Some(client) };
        let user = users::create(&mut tx, &user).await.expect("a user").expect("an e-mail that is not taken");
        tx.commit().await.expect("a commit");
        let token = Self::token_of(user);

        let operator = self.person("Оператор").await.0;
        let bot = self.control("POST", "/bots", json!({ "username": format!("bot{client}_bot") })).await;
        let bot_token = bot["token"].as_str().expect("a token").to_owned();
        let forum =
            self.control("POST", "/forums", json!({ "title": name, "bot_token": bot_token, "members": [operator] })).await;
        let forum = forum["chat_id"].as_i64().expect("a chat id");
        let (status, project) = self.call("POST", "/api/projects", &token, Some(json!({ "name": name }))).await;
        assert_eq!(status, 201, "{project}");
        let project = project["id"].as_i64().expect("an id");
        let body = json!({ "token": bot_token, "group_chat_id": forum, "project_id": project });
        let (status, bot) = self.call("POST", "/api/bots", &token, Some(body)).await;
        assert_eq!(status, 201, "{bot}");
        Tenant { token, client, project, bot_token, forum, operator }
    }

    /// A user of the portal, of the tenant: the e-mail address.
    pub async fn user(&self, role: Role, password: &str) -> String {
        let client = self.tenant.client;
        self.new_user(format!("{role:?}.of.{client}@example.org").to_lowercase(), role, Some(client), password).await
    }

    /// The platform's administrator: the e-mail address.
    pub async fn administrator(&self, password: &str) -> String {
        self.new_user("admin@example.org".to_owned(), Role::Admin, None, password).await
    }

    async fn new_user(&self, email: String, role: Role, client: Option<ClientId>, password: &str) -> String {
        let hashed_password = Secret::new(tuberry::passwords::hash(&Secret::new(password.to_owned())));
        let mut tx = self.store().begin().await.expect("a transaction");
        let user = NewUser { email: email.clone(), hashed_password, role, client };
        users::create(&mut tx, &user).await.expect("a user").expect("an e-mail that is not taken");
        tx.commit().await.expect("a commit");
        email
    }

    /// A user of Telegram.
    pub async fn person(&self, first_name: &str) -> Person {
        self.person_with(json!({ "first_name": first_name })).await
    }

    pub async fn person_with(&self, properties: Value) -> Person {
        let user = self.control("POST", "/users", properties).await;
        Person(user["id"].as_i64().expect("an id"))
    }

    /// Starts a login: its id and the first QR code's URL.
    pub async fn start_login(&self) -> (String, String) {
        let body = json!({ "project_id": self.tenant.project });
        let (status, login) = self.call("POST", "/api/personal-telegram-accounts/login", &self.tenant.token, Some(body)).await;
        assert_eq!(status, 201, "{login}");
        let text = |name: &str| login[name].as_str().unwrap_or_else(|| panic!("{name} in {login}")).to_owned();
        (text("login_id"), text("qr_url"))
    }

    /// The login's status as the portal polls it.
    pub async fn login(&self, id: &str) -> Value {
        let (status, login) =
            self.call("GET", &format!("/api/personal-telegram-accounts/login/{id}"), &self.tenant.token, None).await;
        assert_eq!(status, 200, "{login}");
        login
    }

    /// Polls a login until it has this status.
    pub async fn login_becomes(&self, id: &str, status: &str) -> Value {
        let what = format!("login {status}");
        let mut last = Value::Null;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
        loop {
            let (code, login) =
                self.call("GET", &format!("/api/personal-telegram-accounts/login/{id}"), &self.tenant.token, None).await;
            if code == 200 && login["status"] == status {
                return login;
            }
            if login != last {
                last = login;
            }
            assert!(tokio::time::Instant::now() < deadline, "{what}; at last {last}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The person's phone scans a QR code.
    pub async fn scan(&self, person: Person, url: &str) -> u16 {
        self.try_control("POST", &format!("/users/{}/scan", person.0), json!({ "url": url })).await.0
    }

    /// Scans the code that the login shows now, again when it was renewed in between.
    pub async fn scan_current(&self, person: Person, id: &str) {
        wait_until(Duration::from_secs(60), "a code that can be scanned", async || {
            let login = self.login(id).await;
            let url = login["qr_url"].as_str()?;
            (self.scan(person, url).await == 200).then_some(())
        })
        .await;
    }

    /// Submits a 2FA password.
    pub async fn password(&self, id: &str, password: &str) -> Value {
        let path = format!("/api/personal-telegram-accounts/login/{id}/password");
        let (status, login) = self.call("POST", &path, &self.tenant.token, Some(json!({ "password": password }))).await;
        assert_eq!(status, 200, "{login}");
        login
    }

    /// Connects an account without 2FA and waits until a worker serves it.
    pub async fn connect(&self, person: Person) -> i64 {
        let (id, _) = self.start_login().await;
        self.scan_current(person, &id).await;
        let login = self.login_becomes(&id, "completed").await;
        let account = login["account"]["id"].as_i64().expect("an account");
        self.wait_served(account).await;
        account
    }

    /// Waits until a worker has the account's connection up.
    pub async fn wait_served(&self, account: i64) {
        wait_until(Duration::from_secs(60), "an account that is served", async || {
            let (_, accounts) = self.call("GET", "/api/personal-telegram-accounts", &self.tenant.token, None).await;
            let account = accounts.as_array()?.iter().find(|found| found["id"] == account)?;
            account["last_connected_at"].as_str().map(drop)
        })
        .await;
    }

    /// Somebody writes to somebody.
    pub async fn write(&self, from: Person, to: Person, text: &str) {
        self.control("POST", "/messages", json!({ "from": from.0, "to": to.0, "text": text })).await;
    }

    /// Topics of the tenant's working group as the simulator has them.
    pub async fn topics(&self) -> Vec<Value> {
        let topics = self.control("GET", &format!("/forums/{}/topics", self.tenant.forum), Value::Null).await;
        topics.as_array().expect("topics").clone()
    }

    /// The topic whose title ends with `name`, once it is there.
    pub async fn topic(&self, name: &str) -> Value {
        wait_until(Duration::from_secs(30), &format!("a topic of {name}"), async || {
            self.topics().await.into_iter().find(|topic| topic["name"].as_str().is_some_and(|title| title.ends_with(name)))
        })
        .await
    }

    /// Texts that the bot wrote in a topic, oldest first.
    pub fn mirrored(topic: &Value) -> Vec<String> {
        let messages = topic["messages"].as_array().expect("messages");
        messages
            .iter()
            .filter_map(|message| message["text"].as_str())
            .filter(|text| text.starts_with('💬'))
            .map(str::to_owned)
            .collect()
    }

    /// An operator answers in a topic. Returns the message's id in the group.
    pub async fn answer(&self, topic: &Value, text: &str) -> i64 {
        let path = format!("/forums/{}/topics/{}/messages", self.tenant.forum, topic["thread_id"]);
        let sent = self.control("POST", &path, json!({ "from": self.tenant.operator, "text": text })).await;
        sent["ids"][0].as_i64().or_else(|| sent["id"].as_i64()).unwrap_or_default()
    }

    /// What `person` sees in the chat with `peer`: texts that `peer` wrote.
    pub async fn received(&self, person: Person, peer: Person) -> Vec<String> {
        let messages = self.control("GET", &format!("/users/{}/messages?peer={}", person.0, peer.0), Value::Null).await;
        let messages = messages.as_array().expect("messages").iter();
        messages
            .filter(|message| message["out"] == false)
            .filter_map(|message| message["text"].as_str())
            .map(str::to_owned)
            .collect()
    }

    /// The simulator as judge: no key was ever used by two connections.
    pub async fn assert_keys_were_never_shared(&self) {
        let stats = self.control("GET", "/stats", Value::Null).await;
        assert_eq!(stats["keys_killed"], 0, "{stats}");
        assert!(stats["max_connections_per_key"].as_i64().unwrap_or(99) <= 1, "{stats}");
    }
}

fn environment(url: &str, simulator: &Simulator, setup: &Setup) -> Vec<(String, String)> {
    [
        ("DATABASE_URL", url),
        ("APP_SECRET", APP_SECRET),
        ("JWT_SECRET", JWT_SECRET),
        ("TELEGRAM_SIMULATOR", &simulator.http_url()),
        ("BOT_UPDATES", setup.updates),
        ("PERSONAL_TELEGRAM_QR_TIMEOUT", &setup.qr_timeout.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

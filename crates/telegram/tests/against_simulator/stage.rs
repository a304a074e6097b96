//! A simulated Telegram in this process, and the people who live there.

use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use telegram_simulator::{Options, Simulator};
use tuberry_domain::intake::{SelfUser, UpdateState};
use tuberry_domain::ports::{Export, LoginConnection, Logins};
use tuberry_domain::session::StringSession;
use tuberry_telegram::{Application, Device, MtprotoLogins, Network, Timings};

/// Clocks that notice trouble within a second.
pub fn quick() -> Timings {
    Timings {
        connect: Duration::from_secs(3),
        call: Duration::from_secs(3),
        ping_every: Duration::from_millis(300),
        ping_timeout: Duration::from_millis(700),
        probe_every: Duration::from_millis(400),
        deaf_after: Duration::from_millis(300),
        disconnect_delay: Duration::from_secs(75),
        backoff_min: Duration::from_millis(20),
        backoff_max: Duration::from_millis(500),
        unreachable_after: Duration::from_secs(1),
        idle_state: Duration::from_millis(100),
    }
}

/// The simulator and its control API.
pub struct Stage {
    pub simulator: Simulator,
    pub network: Arc<Network>,
    http: reqwest::Client,
}

impl Stage {
    pub async fn new() -> Self {
        Self::with(Options::default(), quick()).await
    }

    /// With another rate of connections.
    pub async fn paced(per_second: NonZeroU32) -> Self {
        let simulator = Simulator::start(Options::default()).await.unwrap();
        Self::at(simulator, |network| network.with_pace(per_second)).await
    }

    pub async fn with(options: Options, timings: Timings) -> Self {
        let simulator = Simulator::start(options).await.unwrap();
        Self::at(simulator, |network| network.with_timings(timings)).await
    }

    async fn at(simulator: Simulator, change: impl FnOnce(Network) -> Network) -> Self {
        let application = Application::or_official_client(0, "");
        let network = Network::simulator(&simulator.http_url(), application, Device::default()).await.unwrap();
        let network = change(network.with_timings(quick()));
        Self { simulator, network: Arc::new(network), http: reqwest::Client::new() }
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("{}/control/{path}", self.simulator.http_url());
        let answer = self.http.post(url).json(&body).send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{path}: {body}");
        body
    }

    pub async fn get(&self, path: &str) -> Value {
        let url = format!("{}/control/{path}", self.simulator.http_url());
        self.http.get(url).send().await.unwrap().json().await.unwrap()
    }

    pub async fn clear_faults(&self) {
        let url = format!("{}/control/faults", self.simulator.http_url());
        self.http.delete(url).send().await.unwrap();
    }

    pub async fn user(&self, more: Value) -> i64 {
        let mut body = json!({"first_name": "Анна", "dc": 2});
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        self.post("users", body).await["id"].as_i64().unwrap()
    }

    pub async fn fault(&self, fault: Value) {
        self.post("faults", fault).await;
    }

    /// The ids as the addressee numbers them.
    pub async fn say(&self, from: i64, to: i64, text: &str) -> i64 {
        self.post("messages", json!({"from": from, "to": to, "text": text})).await["ids"][0].as_i64().unwrap()
    }

    pub async fn scan(&self, user: i64, url: &str) {
        self.post(&format!("users/{user}/scan"), json!({ "url": url })).await;
    }

    pub async fn stat(&self, name: &str) -> i64 {
        self.get("stats").await[name].as_i64().unwrap()
    }

    /// A user's view of a chat, as `(out, text)`.
    pub async fn chat(&self, user: i64, peer: i64) -> Vec<(bool, String)> {
        let messages = self.get(&format!("users/{user}/messages?peer={peer}")).await;
        let shown = |message: &Value| (message["out"].as_bool().unwrap(), message["text"].as_str().unwrap().to_owned());
        messages.as_array().unwrap().iter().map(shown).collect()
    }

    pub fn logins(&self) -> MtprotoLogins {
        MtprotoLogins::new(self.network.clone())
    }

    /// A user without a password, logged in.
    pub async fn log_in(&self, user: i64) -> (StringSession, SelfUser, UpdateState) {
        let mut login = self.logins().open(None).await.unwrap();
        self.scan(user, &token(login.as_mut()).await).await;
        assert!(matches!(login.export().await.unwrap(), Export::Authorised));
        let (me, state) = login.identity().await.unwrap();
        let session = login.session().unwrap();
        login.close().await;
        (session, me, state)
    }
}

/// The link of a fresh QR code.
pub async fn token(login: &mut dyn LoginConnection) -> String {
    match login.export().await.unwrap() {
        Export::Token { url, .. } => url,
        other => panic!("{other:?}"),
    }
}

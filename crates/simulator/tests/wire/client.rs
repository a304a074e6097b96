//! A small client: the control API over HTTP, and a grammers connection to one data centre.

use base64::{Engine, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use grammers_mtsender::{ConnectionParams, InvocationError, NoRetries, SenderPool, SenderPoolFatHandle};
use grammers_session::Session;
use grammers_session::storages::MemorySession;
use grammers_session::types::DcOption;
use grammers_tl_types::{RemoteCall, enums, functions as f, types};
use serde_json::{Value, json};
use std::net::{SocketAddrV4, SocketAddrV6};
use std::sync::Arc;
use telegram_simulator::{Options, Simulator};
use tokio::task::JoinHandle;

/// A simulator of this test alone.
pub async fn simulator() -> (Simulator, Control) {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let control = Control::new(simulator.http_url());
    (simulator, control)
}

/// The control API.
#[derive(Clone)]
pub struct Control {
    url: String,
    http: reqwest::Client,
}

impl Control {
    pub fn new(url: String) -> Self {
        Self { url, http: reqwest::Client::new() }
    }

    pub async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.http.request(method, format!("{}{path}", self.url));
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.call("POST", path, body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.call("GET", path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    pub async fn user(&self, name: &str) -> i64 {
        self.post("/control/users", json!({ "first_name": name })).await["id"].as_i64().unwrap()
    }

    pub async fn key(&self, dc: i32) -> [u8; 256] {
        let answer = self.post("/control/auth-keys", json!({ "dc_id": dc })).await;
        STANDARD.decode(answer["auth_key"].as_str().unwrap()).unwrap().try_into().unwrap()
    }

    pub async fn dc(&self, id: i32) -> SocketAddrV4 {
        let config = self.get("/control/config").await;
        let dc = config["dcs"].as_array().unwrap().iter().find(|dc| dc["id"] == id).unwrap().clone();
        format!("{}:{}", dc["host"].as_str().unwrap(), dc["port"]).parse().unwrap()
    }

    pub async fn scan(&self, user: i64, token: &[u8]) {
        let url = format!("tg://login?token={}", URL_SAFE_NO_PAD.encode(token));
        self.post(&format!("/control/users/{user}/scan"), json!({ "url": url })).await;
    }

    /// A connection whose key is signed in as the user.
    pub async fn signed_in(&self, user: i64) -> (Connection, [u8; 256]) {
        let key = self.key(4).await;
        let connection = Connection::open(self.dc(4).await, 4, key).await;
        let enums::auth::LoginToken::Token(token) = connection.call(&EXPORT).await.unwrap() else { panic!("no token") };
        self.scan(user, &token.token).await;
        let done = connection.call(&EXPORT).await.unwrap();
        assert!(matches!(done, enums::auth::LoginToken::Success(_)), "{done:?}");
        (connection, key)
    }
}

/// `auth.exportLoginToken`.
pub const EXPORT: f::auth::ExportLoginToken =
    f::auth::ExportLoginToken { api_id: 1, api_hash: String::new(), except_ids: Vec::new() };

/// A grammers connection.
pub struct Connection {
    dc: i32,
    handle: SenderPoolFatHandle,
    runner: JoinHandle<()>,
}

impl Connection {
    pub async fn open(at: SocketAddrV4, dc: i32, key: [u8; 256]) -> Self {
        let session = Arc::new(MemorySession::default());
        session.set_home_dc_id(dc).await.unwrap();
        let ipv6 = SocketAddrV6::new(at.ip().to_ipv6_mapped(), at.port(), 0, 0);
        session.set_dc_option(&DcOption { id: dc, ipv4: at, ipv6, auth_key: Some(key) }).await.unwrap();
        let parameters = ConnectionParams { retry_policy: Box::new(NoRetries), ..ConnectionParams::default() };
        let pool = SenderPool::with_configuration(session, 1, parameters);
        Self { dc, handle: pool.handle, runner: tokio::spawn(pool.runner.run()) }
    }

    pub async fn call<R: RemoteCall>(&self, request: &R) -> Result<R::Return, InvocationError> {
        self.handle.thin.invoke_in_dc(self.dc, request).await
    }

    /// The code and name of the error that the call answers.
    pub async fn refusal<R: RemoteCall>(&self, request: &R) -> (i32, String) {
        match self.call(request).await {
            Err(InvocationError::Rpc(error)) => (error.code, error.name),
            Err(other) => panic!("no answer: {other}"),
            Ok(_) => panic!("not refused"),
        }
    }

    /// The same of a call in bytes.
    pub async fn raw_refusal(&self, request: Vec<u8>) -> (i32, String) {
        match self.handle.thin.raw_invoke_in_dc(self.dc, request).await {
            Err(InvocationError::Rpc(error)) => (error.code, error.name),
            Err(other) => panic!("no answer: {other}"),
            Ok(_) => panic!("not refused"),
        }
    }

    pub async fn close(self) {
        self.handle.thin.quit();
        self.runner.await.unwrap();
    }
}

/// `messages.sendMessage` of a plain text.
pub fn message(peer: enums::InputPeer, text: &str, random_id: i64) -> f::messages::SendMessage {
    f::messages::SendMessage {
        no_webpage: false,
        silent: false,
        background: false,
        clear_draft: false,
        noforwards: false,
        update_stickersets_order: false,
        invert_media: false,
        allow_paid_floodskip: false,
        peer,
        reply_to: None,
        message: text.into(),
        random_id,
        reply_markup: None,
        entities: None,
        schedule_date: None,
        schedule_repeat_period: None,
        send_as: None,
        quick_reply_shortcut: None,
        effect: None,
        allow_paid_stars: None,
        suggested_post: None,
        rich_message: None,
    }
}

/// The user as an input peer, by the access hash in the answer to `contacts.resolveUsername`.
pub async fn resolve(connection: &Connection, username: &str) -> types::InputPeerUser {
    let request = f::contacts::ResolveUsername { username: username.into(), referer: None };
    let enums::contacts::ResolvedPeer::Peer(found) = connection.call(&request).await.unwrap();
    let enums::User::User(user) = &found.users[0] else { panic!("no user") };
    types::InputPeerUser { user_id: user.id, access_hash: user.access_hash.unwrap() }
}

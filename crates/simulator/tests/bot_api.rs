//! The Bot API over real HTTP: what depends on sockets and time. The rest is judged by aiogram (`tests/judges/aiogram_judge.py`).

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Json, Router, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use serde_json::{Value, json};
use telegram_simulator::{Options, Simulator};

/// A simulator with one bot, one operator and one forum.
struct Stage {
    simulator: Simulator,
    client: reqwest::Client,
    token: String,
    chat: i64,
    operator: i64,
}

impl Stage {
    async fn set() -> Self {
        Self::set_with(Options::default()).await
    }

    async fn set_with(options: Options) -> Self {
        let simulator = Simulator::start(options).await.expect("the simulator starts on free ports");
        let client = reqwest::Client::builder().no_proxy().build().expect("a client without TLS roots");
        let mut stage = Self { simulator, client, token: String::new(), chat: 0, operator: 0 };
        stage.operator = stage.control("users", json!({"first_name": "Olga"})).await["id"].as_i64().expect("an id");
        stage.token = stage.control("bots", json!({"username": "a_bot"})).await["token"].as_str().expect("a token").to_owned();
        let forum = json!({"title": "T", "bot_token": stage.token, "members": [stage.operator]});
        stage.chat = stage.control("forums", forum).await["chat_id"].as_i64().expect("an id");
        stage
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/{path}", self.simulator.http_url());
        let answer = self.client.post(url).json(&body).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    async fn control(&self, call: &str, body: Value) -> Value {
        let (status, answer) = self.post(&format!("control/{call}"), body).await;
        assert_eq!(status, 200, "{call}: {answer}");
        answer
    }

    async fn look(&self, call: &str) -> Value {
        let url = format!("{}/control/{call}", self.simulator.http_url());
        self.client.get(url).send().await.expect("an answer").json().await.expect("JSON")
    }

    async fn bot(&self, method: &str, body: Value) -> (u16, Value) {
        self.post(&format!("bot{}/{method}", self.token), body).await
    }

    async fn says(&self, text: &str) -> i64 {
        let call = format!("forums/{}/topics/1/messages", self.chat);
        self.control(&call, json!({"from": self.operator, "text": text})).await["id"].as_i64().expect("an id")
    }
}

/// A webhook that refuses the first `refusals` requests and keeps what it gets.
#[derive(Clone, Default)]
struct Hook {
    refusals: Arc<Mutex<usize>>,
    got: Arc<Mutex<Vec<(Instant, bool, Value)>>>,
    open: Arc<Mutex<(usize, usize)>>,
    slow: Duration,
}

impl Hook {
    async fn listen(self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let router = Router::new().route("/", post(Self::take)).with_state(self);
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    async fn take(State(hook): State<Self>, headers: HeaderMap, Json(update): Json<Value>) -> StatusCode {
        {
            let mut open = hook.open.lock().expect("no panic");
            open.0 += 1;
            open.1 = open.1.max(open.0);
        }
        tokio::time::sleep(hook.slow).await;
        hook.open.lock().expect("no panic").0 -= 1;
        let mut refusals = hook.refusals.lock().expect("no panic");
        let refused = *refusals > 0;
        *refusals -= usize::from(refused);
        let secret = headers.get("x-telegram-bot-api-secret-token").is_some_and(|secret| secret == "s-1");
        assert!(secret, "the secret goes with every delivery");
        hook.got.lock().expect("no panic").push((Instant::now(), refused, update));
        if refused { StatusCode::BAD_GATEWAY } else { StatusCode::OK }
    }

    async fn until(&self, accepted: usize) -> Vec<i64> {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let ids = self.accepted();
            if ids.len() >= accepted || Instant::now() > end {
                return ids;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn accepted(&self) -> Vec<i64> {
        let got = self.got.lock().expect("no panic");
        got.iter().filter(|(_, refused, _)| !refused).filter_map(|(.., u)| u["message"]["message_id"].as_i64()).collect()
    }
}

#[tokio::test]
async fn a_webhook_with_one_connection_gets_everything_in_order_and_with_growing_pauses() {
    let stage = Stage::set().await;
    let hook = Hook { refusals: Arc::new(Mutex::new(3)), ..Hook::default() };
    let url = hook.clone().listen().await;
    stage.bot("deleteWebhook", json!({"drop_pending_updates": true})).await;
    let settings = json!({"url": url, "secret_token": "s-1", "max_connections": 1});
    assert_eq!(stage.bot("setWebhook", settings).await.0, 200);
    let mut sent = Vec::new();
    for n in 0..20 {
        sent.push(stage.says(&format!("m{n}")).await);
    }
    assert_eq!(hook.until(20).await, sent);
    assert_eq!(hook.open.lock().expect("no panic").1, 1, "never two at a time");
    let got = hook.got.lock().expect("no panic");
    assert!(got[..3].iter().all(|(_, refused, update)| *refused && update == &got[3].2), "the same update again and again");
    let pauses: Vec<Duration> = got[..4].windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(pauses[0] >= Duration::from_millis(95) && pauses[1] >= pauses[0] && pauses[2] >= pauses[1], "{pauses:?}");
}

#[tokio::test]
async fn a_webhook_with_many_connections_gets_updates_side_by_side_but_each_once() {
    let stage = Stage::set().await;
    let hook = Hook { slow: Duration::from_millis(150), ..Hook::default() };
    let url = hook.clone().listen().await;
    stage.bot("deleteWebhook", json!({"drop_pending_updates": true})).await;
    let mut sent = Vec::new();
    for n in 0..12 {
        sent.push(stage.says(&format!("m{n}")).await);
    }
    stage.bot("setWebhook", json!({"url": url, "secret_token": "s-1", "max_connections": 4})).await;
    let mut got = hook.until(12).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    got.sort_unstable();
    assert_eq!(got, sent);
    assert_eq!(hook.accepted().len(), 12);
    assert_eq!(hook.open.lock().expect("no panic").1, 4);
    assert_eq!(stage.bot("getWebhookInfo", json!({})).await.1["result"]["pending_update_count"], 0);
}

#[tokio::test]
async fn an_update_waits_for_a_webhook_that_cannot_be_reached() {
    let stage = Stage::set().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let closed = format!("http://{}/", listener.local_addr().expect("an address"));
    drop(listener);
    stage.bot("setWebhook", json!({"url": closed, "secret_token": "s-1", "max_connections": 1})).await;
    let number = stage.says("wait").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let info = stage.bot("getWebhookInfo", json!({})).await.1["result"].clone();
    assert_eq!((&info["pending_update_count"], &info["last_error_message"]), (&json!(2), &json!("Connection refused")));
    let hook = Hook::default();
    let url = hook.clone().listen().await;
    stage.bot("setWebhook", json!({"url": url, "secret_token": "s-1", "max_connections": 1})).await;
    assert_eq!(hook.until(1).await, [number]);
}

#[tokio::test]
async fn a_waiting_poll_wakes_with_the_update_and_ends_with_the_simulator() {
    let stage = Stage::set().await;
    stage.bot("getUpdates", json!({"offset": -1})).await;
    let last = stage.bot("getUpdates", json!({})).await.1["result"][0]["update_id"].as_i64().expect("the added bot");
    let begin = Instant::now();
    let poll = stage.bot("getUpdates", json!({"offset": last + 1, "timeout": 30}));
    let (answer, number) = tokio::join!(poll, async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        stage.says("wake up").await
    });
    assert_eq!(answer.1["result"][0]["message"]["message_id"], number);
    assert!(begin.elapsed() < Duration::from_secs(5));
    let url = format!("{}/bot{}/getUpdates?offset={}&timeout=30", stage.simulator.http_url(), stage.token, last + 2);
    let poll = tokio::spawn(stage.client.get(url).send());
    tokio::time::sleep(Duration::from_millis(200)).await;
    stage.simulator.stop().await;
    assert!(begin.elapsed() < Duration::from_secs(10), "stopping does not wait for pollers");
    assert!(poll.await.expect("no panic").is_ok());
}

#[tokio::test]
async fn a_lost_answer_closes_the_connection_after_the_call_was_carried_out() {
    let stage = Stage::set().await;
    stage.control("faults", json!({"kind": "lose_answer", "method": "bot.sendMessage", "times": 1})).await;
    let url = format!("{}/bot{}/sendMessage", stage.simulator.http_url(), stage.token);
    let body = json!({"chat_id": stage.chat, "text": "x"});
    assert!(stage.client.post(&url).json(&body).send().await.is_err());
    assert_eq!(stage.bot("sendMessage", body).await.0, 200);
    let topics = stage.look(&format!("forums/{}/topics?general=true", stage.chat)).await;
    assert_eq!(topics[0]["messages"].as_array().map(Vec::len), Some(2));
    let log = stage.look("bot-log?method=sendMessage").await;
    let seen: Vec<(bool, bool)> =
        log.as_array().expect("a list").iter().map(|call| (call["status"] == 200, call["lost"] == true)).collect();
    assert_eq!(seen, [(true, true), (true, false)]);
    assert_eq!(stage.look("stats").await["bot"]["sendMessage"], 2);
}

#[tokio::test]
async fn a_group_limit_counts_sends_edits_and_topics_and_can_be_lifted() {
    let stage = Stage::set().await;
    let chat = stage.chat;
    stage.control("limits", json!({"bot_group_per_minute": 4})).await;
    let topic = stage.bot("createForumTopic", json!({"chat_id": chat, "name": "t"})).await.1;
    let thread = topic["result"]["message_thread_id"].as_i64().expect("an id");
    let (_, sent) = stage.bot("sendMessage", json!({"chat_id": chat, "text": "a", "message_thread_id": thread})).await;
    let number = &sent["result"]["message_id"];
    assert_eq!(stage.bot("editMessageText", json!({"chat_id": chat, "message_id": number, "text": "b"})).await.0, 200);
    assert_eq!(stage.bot("editForumTopic", json!({"chat_id": chat, "message_thread_id": thread, "name": "u"})).await.0, 200);
    let (status, refused) = stage.bot("sendMessage", json!({"chat_id": chat, "text": "c"})).await;
    assert_eq!((status, &refused["error_code"]), (429, &json!(429)));
    assert!(matches!(refused["parameters"]["retry_after"].as_u64(), Some(59..=60)), "{refused}");
    assert_eq!(stage.bot("getMe", json!({})).await.0, 200, "reading is free");
    let url = format!("{}/control/limits", stage.simulator.http_url());
    assert!(stage.client.delete(url).send().await.is_ok_and(|answer| answer.status() == 200));
    assert_eq!(stage.bot("sendMessage", json!({"chat_id": chat, "text": "c"})).await.0, 200);
}

#[tokio::test]
async fn control_calls_that_make_no_sense_are_4xx_with_an_error() {
    let stage = Stage::set().await;
    let chat = stage.chat;
    for (call, body, expected) in [
        ("bots", json!({"username": "x y"}), 400),
        ("bots", json!({"username": "A_BOT"}), 400),
        ("bots", json!({}), 400),
        ("forums", json!({"title": "", "bot_token": stage.token}), 400),
        ("forums", json!({"title": "x", "bot_token": "1:x"}), 400),
        ("forums", json!({"title": "x", "bot_token": stage.token, "members": [5]}), 400),
        ("limits", json!({"bot_group_per_minute": 0}), 400),
        ("forums/-100/topics/2/messages", json!({"from": stage.operator, "text": "x"}), 404),
        (&format!("forums/{chat}/topics/99/messages"), json!({"from": stage.operator, "text": "x"}), 404),
        (&format!("forums/{chat}/topics/1/messages"), json!({"from": 1, "text": "x"}), 400),
        (&format!("forums/{chat}/topics/1/messages"), json!({"from": stage.operator, "text": " "}), 400),
        (&format!("forums/{chat}/topics/1/messages"), json!({"from": stage.operator, "text": "x", "reply_to": 99}), 404),
        (&format!("forums/{chat}/bot"), json!({"rights": {"can_fly": true}}), 400),
        (&format!("forums/{chat}/bot"), json!({"status": "king"}), 400),
        ("faults", json!({"kind": "delete_topic", "chat_id": chat, "thread_id": 99}), 404),
    ] {
        let (status, answer) = stage.post(&format!("control/{call}"), body.clone()).await;
        assert_eq!(status, expected, "{call} {body}: {answer}");
        assert!(answer["error"].is_string(), "{call} {body}: {answer}");
    }
}

#[tokio::test]
async fn bots_forums_and_waiting_updates_survive_a_restart() {
    let data = std::env::temp_dir().join(format!("telegram-simulator-{}", std::process::id()));
    let options = Options { data_dir: Some(data.clone()), ..Options::default() };
    let mut stage = Stage::set_with(options.clone()).await;
    let (chat, hook) = (stage.chat, Hook::default());
    let topic = stage.bot("createForumTopic", json!({"chat_id": chat, "name": "t"})).await.1;
    let thread = topic["result"]["message_thread_id"].as_i64().expect("an id");
    let gone = stage.bot("createForumTopic", json!({"chat_id": chat, "name": "gone"})).await.1;
    let gone = gone["result"]["message_thread_id"].as_i64().expect("an id");
    stage.bot("deleteForumTopic", json!({"chat_id": chat, "message_thread_id": gone})).await;
    stage.bot("deleteWebhook", json!({"drop_pending_updates": true})).await;
    let number = stage.says("before").await;
    let url = hook.clone().listen().await;
    let before = stage.look(&format!("forums/{chat}/topics?general=true")).await;
    stage.simulator.stop().await;

    stage.simulator = Simulator::start(options).await.expect("it starts again");
    assert_eq!(stage.look(&format!("forums/{chat}/topics?general=true")).await, before);
    let send = |thread| json!({"chat_id": chat, "text": "x", "message_thread_id": thread});
    let next = stage.bot("sendMessage", send(thread)).await.1["result"]["message_id"].as_i64();
    assert!(next.is_some_and(|next| next > number), "numbers go on: {next:?}");
    assert_eq!(stage.bot("sendMessage", send(gone)).await.1["description"], "Bad Request: message thread not found");
    stage.bot("setWebhook", json!({"url": url, "secret_token": "s-1"})).await;
    assert_eq!(hook.until(1).await, [number]);
    stage.simulator.stop().await;
    std::fs::remove_dir_all(data).expect("the snapshot is there");
}

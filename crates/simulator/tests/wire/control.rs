//! Every kind of control call over HTTP, in the form that clients rely on.

use crate::client::simulator;
use serde_json::{Value, json};

#[tokio::test]
async fn people_chats_and_messages_are_made_and_read_in_the_documented_form() {
    let (simulator, control) = simulator().await;
    let config = control.get("/control/config").await;
    assert_eq!(config["bot_api_base"], simulator.http_url());
    assert_eq!(config["dcs"].as_array().unwrap().iter().map(|dc| dc["id"].as_i64().unwrap()).collect::<Vec<_>>(), [2, 4]);
    let (a, b) = (control.user("A").await, control.user("B").await);
    let entities = json!([{ "type": "bold", "offset": 0, "length": 2 }]);
    let first = json!({ "from": b, "to": a, "text": "😀!", "entities": entities });
    assert_eq!(control.post("/control/messages", first).await, json!({ "ids": [1] }));
    let second =
        json!({ "from": a, "to": b, "text": "reply", "reply_to": 1, "media": { "kind": "voice", "size": 9, "duration": 7 } });
    assert_eq!(control.post("/control/messages", second).await, json!({ "ids": [2] }));
    let seen = control.get(&format!("/control/users/{a}/messages?peer={b}")).await;
    let date = seen[0]["date"].as_i64().unwrap();
    assert!(date > 1_600_000_000);
    assert_eq!(
        seen[0],
        json!({
            "id": 1, "from": b, "out": false, "date": date, "text": "😀!", "entities": entities, "media": null,
            "reply_to": null, "reactions": [], "edited": null,
        })
    );
    assert_eq!((&seen[1]["out"], &seen[1]["reply_to"]), (&json!(true), &json!(1)));
    assert_eq!(seen[1]["media"]["kind"], "voice");
    assert_eq!((&seen[1]["media"]["mime"], &seen[1]["media"]["duration"]), (&json!("audio/ogg"), &json!(7)));
    let album =
        json!({ "from": b, "to": a, "text": "two", "album": [{ "kind": "photo" }, { "kind": "photo", "bytes_base64": "AAAA" }] });
    assert_eq!(control.post("/control/messages", album).await, json!({ "ids": [3, 4] }));
    for (kind, mark) in [
        ("group", -1_000_000_000_000i64..0),
        ("supergroup", i64::MIN..-1_000_000_000_000),
        ("channel", i64::MIN..-1_000_000_000_000),
    ] {
        let chat =
            control.post("/control/chats", json!({ "title": "T", "kind": kind, "members": [a, b] })).await["chat_id"].clone();
        assert!(mark.contains(&chat.as_i64().unwrap()), "{kind} {chat}");
        control.post("/control/messages", json!({ "from": a, "to": chat, "text": kind })).await;
        let seen = control.get(&format!("/control/users/{b}/messages?peer={chat}")).await;
        assert_eq!((&seen[0]["text"], &seen[0]["out"]), (&json!(kind), &json!(false)));
        assert_eq!(seen[0]["from"], if kind == "channel" { chat } else { json!(a) });
    }
    assert_eq!(control.get("/control/users").await.as_array().unwrap().len(), 3);
    assert_eq!(control.get(&format!("/control/users/{a}/dialogs")).await.as_array().unwrap().len(), 4);
    assert_eq!(control.get("/control/chats").await.as_array().unwrap().len(), 3);
    let stats = control.get("/control/stats").await;
    for field in ["connections", "max_connections_per_key", "keys_killed", "rpc", "bot"] {
        assert!(!stats[field].is_null(), "{field} in {stats}");
    }
    simulator.stop().await;
}

#[tokio::test]
async fn every_fault_of_the_table_is_accepted_and_forgotten() {
    let (simulator, control) = simulator().await;
    let user = control.user("A").await;
    let channel =
        control.post("/control/chats", json!({ "title": "T", "kind": "channel", "members": [user] })).await["chat_id"].clone();
    for fault in [
        json!({ "kind": "drop_connections" }),
        json!({ "kind": "drop_connections", "user": user }),
        json!({ "kind": "refuse_connections", "seconds": 1 }),
        json!({ "kind": "flood_wait", "method": "messages.sendMessage", "seconds": 3, "times": 2 }),
        json!({ "kind": "rpc_error", "user": user, "method": "users.getUsers", "code": 500, "message": "X", "times": 1 }),
        json!({ "kind": "bot_error", "method": "sendMessage", "status": 429, "description": "d", "retry_after": 2, "times": 1 }),
        json!({ "kind": "latency", "ms": 5 }),
        json!({ "kind": "lose_answer", "method": "bot.sendMessage", "times": 1 }),
        json!({ "kind": "revoke", "user": user }),
        json!({ "kind": "forget_keys", "user": user }),
        json!({ "kind": "lose_updates", "user": user, "times": 1 }),
        json!({ "kind": "difference_too_long", "user": user }),
        json!({ "kind": "channel_too_long", "chat_id": channel }),
    ] {
        control.post("/control/faults", fault).await;
    }
    assert_eq!(control.call("DELETE", "/control/faults", Value::Null).await, (200, json!({})));
    let mut world = simulator.shared();
    let world = &mut world;
    assert!(world.lock().faults.take_rpc_error(Some(user), "messages.sendMessage").is_none());
    simulator.stop().await;
}

#[tokio::test]
async fn nonsense_is_refused_with_a_reason_and_a_status_of_the_fours() {
    let (simulator, control) = simulator().await;
    let a = control.user("A").await;
    for (method, path, body) in [
        ("POST", "/control/users".to_owned(), json!({})),
        ("POST", "/control/users".to_owned(), json!({ "first_name": " " })),
        ("POST", "/control/users".to_owned(), json!({ "first_name": 7 })),
        ("POST", "/control/users".to_owned(), json!({ "first_name": "x", "dc": 9 })),
        ("POST", "/control/users/1/scan".to_owned(), json!({ "url": "tg://login?token=AAAA" })),
        ("POST", format!("/control/users/{a}/scan"), json!({ "url": "https://example.org" })),
        ("POST", "/control/users/99999999999999999999/scan".to_owned(), json!({ "url": "" })),
        ("GET", format!("/control/users/{a}/messages"), Value::Null),
        ("GET", format!("/control/users/{a}/messages?peer=x"), Value::Null),
        ("GET", format!("/control/users/{a}/messages?peer=-1000000000007"), Value::Null),
        ("POST", "/control/messages".to_owned(), json!({ "from": a, "to": 12345, "text": "x" })),
        ("POST", "/control/messages".to_owned(), json!({ "from": 12345, "to": a, "text": "x" })),
        ("POST", "/control/messages".to_owned(), json!({ "from": a, "to": 0, "text": "x" })),
        ("POST", "/control/messages".to_owned(), json!({ "from": a, "to": a, "text": "" })),
        ("POST", "/control/messages".to_owned(), json!({ "from": a, "to": a, "text": "x".repeat(4097) })),
        ("POST", "/control/messages".to_owned(), json!({ "from": a, "to": a, "media": { "kind": "teapot" } })),
        ("POST", "/control/messages".to_owned(), json!({ "from": a, "to": a, "album": [{ "kind": "photo" }] })),
        ("POST", "/control/chats".to_owned(), json!({ "title": "T", "kind": "forum", "members": [a] })),
        ("POST", "/control/chats".to_owned(), json!({ "title": "T", "kind": "group", "members": [1] })),
        ("POST", "/control/auth-keys".to_owned(), json!({ "dc_id": 3 })),
        ("POST", "/control/faults".to_owned(), json!({ "kind": "earthquake" })),
        ("POST", "/control/faults".to_owned(), json!({ "kind": "revoke", "user": 1 })),
        ("POST", "/control/faults".to_owned(), json!({ "kind": "refuse_connections", "seconds": -1 })),
        ("POST", "/control/faults".to_owned(), json!({ "kind": "delete_topic", "chat_id": 1, "thread_id": 1 })),
        ("PUT", "/control/users".to_owned(), json!({})),
        ("GET", "/control/nothing".to_owned(), Value::Null),
    ] {
        let (status, answer) = control.call(method, &path, body.clone()).await;
        assert!((400..500).contains(&status), "{method} {path} {body}: {status}");
        assert!(answer["error"].as_str().is_some_and(|error| !error.is_empty()), "{method} {path} {body}: {answer}");
    }
    simulator.stop().await;
}

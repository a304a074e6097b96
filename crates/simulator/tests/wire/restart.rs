//! The binary with a data directory: what it knows survives a kill.

use crate::client::{Connection, Control, message, resolve};
use grammers_tl_types::{Identifiable, Serializable, enums, functions as f, types};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Starts the binary and reads where it listens: its HTTP URL and the port of DC 2.
async fn start(data: &Path, mtproto: &str, http: &str) -> (Child, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_telegram-simulator"))
        .args(["--mtproto", mtproto, "--http", http, "--data-dir"])
        .arg(data)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    tokio::time::timeout(Duration::from_secs(10), out.read_line(&mut line)).await.unwrap().unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[..2], ["telegram-simulator", "ready:"], "{line}");
    (child, words[2].to_owned(), words[5].to_owned())
}

async fn end(mut child: Child, signal: Signal) {
    kill(Pid::from_raw(child.id().unwrap() as i32), signal).unwrap();
    tokio::time::timeout(Duration::from_secs(5), child.wait()).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_world_survives_a_kill_and_no_number_comes_twice() {
    let data = tempfile::tempdir().unwrap();
    let (child, url, dc2) = start(data.path(), "127.0.0.1:0", "127.0.0.1:0").await;
    let control = Control::new(url.clone());
    let a = control.user("A").await;
    let b = control.post("/control/users", json!({ "first_name": "B", "username": "bee" })).await["id"].as_i64().unwrap();
    let (connection, key) = control.signed_in(a).await;
    control.post("/control/messages", json!({ "from": b, "to": a, "text": "before" })).await;
    let to_b = resolve(&connection, "bee").await;
    connection.call(&message(to_b.clone().into(), "sent", 55)).await.unwrap();
    let enums::updates::State::State(before) = connection.call(&f::updates::GetState {}).await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    end(child, Signal::SIGKILL).await;
    connection.close().await;

    let (child, url, again) = start(data.path(), &dc2, url.trim_start_matches("http://")).await;
    assert_eq!(again, dc2, "the same addresses, so that sessions stay good");
    let control = Control::new(url.clone());
    let connection = Connection::open(control.dc(4).await, 4, key).await;
    let repeat = connection.call(&message(to_b.clone().into(), "sent", 55)).await.unwrap();
    assert!(matches!(repeat, enums::Updates::Updates(_)), "the random_id is remembered: {repeat:?}");
    let seen = control.get(&format!("/control/users/{b}/messages?peer={a}")).await;
    assert_eq!(seen.as_array().unwrap().iter().map(|m| m["text"].clone()).collect::<Vec<_>>(), ["before", "sent"]);
    let ids = control.post("/control/messages", json!({ "from": b, "to": a, "text": "after" })).await;
    assert!(ids["ids"][0].as_i64().unwrap() > 1000, "a gap after the kill: {ids}");
    let missed = f::updates::GetDifference {
        pts: before.pts,
        pts_limit: None,
        pts_total_limit: None,
        date: before.date,
        qts: 0,
        qts_limit: None,
    };
    let enums::updates::Difference::Difference(difference) = connection.call(&missed).await.unwrap() else {
        panic!("no whole difference")
    };
    assert!(matches!(&difference.new_messages[..], [enums::Message::Message(m)] if m.message == "after"));
    end(child, Signal::SIGTERM).await;
    connection.close().await;

    let (child, url, _) = start(data.path(), &dc2, url.trim_start_matches("http://")).await;
    let control = Control::new(url);
    let next = control.post("/control/messages", json!({ "from": b, "to": a, "text": "later" })).await;
    assert_eq!(next["ids"][0].as_i64(), ids["ids"][0].as_i64().map(|id| id + 1), "no gap after a clean end");
    end(child, Signal::SIGINT).await;
}

#[tokio::test]
async fn a_call_nested_as_deep_as_its_length_allows_does_not_end_the_process() {
    let data = tempfile::tempdir().unwrap();
    let (child, url, _) = start(data.path(), "127.0.0.1:0", "127.0.0.1:0").await;
    let control = Control::new(url);
    let user = control.user("A").await;
    let (connection, _) = control.signed_in(user).await;
    let mut deep = f::messages::SendMessage::CONSTRUCTOR_ID.to_bytes();
    deep.extend([0; 4]);
    while deep.len() < 64 << 10 {
        deep.extend(types::InputPeerUserFromMessage::CONSTRUCTOR_ID.to_bytes());
    }
    assert_eq!(connection.raw_refusal(deep).await, (400, "INPUT_FETCH_FAIL".into()));
    connection.call(&f::updates::GetState {}).await.unwrap();
    end(child, Signal::SIGTERM).await;
}

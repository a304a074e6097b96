//! The connection itself: lost, frozen, revoked, closed and opened again.

use crate::account::{Account, Rows};
use crate::stage::{Stage, quick};
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use telegram_simulator::Options;
use tokio::time::{sleep, timeout};
use tuberry_domain::account::AccountProblem;
use tuberry_domain::ports::CallError;
use tuberry_telegram::{IntakeError, LinkStatus, Timings};

async fn account(stage: &Stage) -> (Account, i64, i64) {
    let (anna, boris) = (stage.user(json!({})).await, stage.user(json!({"first_name": "Борис"})).await);
    let account = Account::new(stage, anna).await;
    account.reaches(LinkStatus::Up).await;
    (account, anna, boris)
}

#[tokio::test]
async fn closed_and_opened_at_once_fifty_times_the_key_lives() {
    let stage = Stage::new().await;
    let (mut account, anna, boris) = account(&stage).await;
    for round in 0..50 {
        account = account.reopen(&stage).await;
        // Sometimes the next close comes before the connection is there.
        if round % 3 != 0 {
            account.reaches(LinkStatus::Up).await;
        }
    }
    stage.say(boris, anna, "жив").await;
    account.until(1).await;
    assert_eq!((stage.stat("keys_killed").await, stage.stat("max_connections_per_key").await), (0, 1));
    account.close().await;
    timeout(Duration::from_secs(2), async {
        while stage.stat("connections").await != 0 {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("no connection stays");
}

#[tokio::test]
async fn dropped_again_and_again_it_comes_back_with_one_connection() {
    let stage = Stage::new().await;
    let (mut account, anna, boris) = account(&stage).await;
    for round in 0..15 {
        stage.fault(json!({"kind": "drop_connections", "user": anna})).await;
        stage.say(boris, anna, &format!("m{round}")).await;
        account.until(round + 1).await;
    }
    assert_eq!((stage.stat("keys_killed").await, account.rows.repeats), (0, 0));
}

#[tokio::test]
async fn while_telegram_refuses_connections_it_is_not_hammered() {
    let stage = Stage::new().await;
    let (mut account, anna, boris) = account(&stage).await;
    stage.fault(json!({"kind": "refuse_connections", "seconds": 1.0})).await;
    stage.fault(json!({"kind": "drop_connections", "user": anna})).await;
    account.reaches(LinkStatus::Connecting).await;
    assert!(matches!(account.calls().probe().await, Err(CallError::NotConnected)));
    stage.say(boris, anna, "m").await;
    account.until(1).await;
    account.reaches(LinkStatus::Up).await;
}

#[tokio::test]
async fn a_frozen_connection_is_noticed_and_replaced() {
    let stage = Stage::new().await;
    let (mut account, anna, boris) = account(&stage).await;
    account.settle().await;
    stage.fault(json!({"kind": "latency", "ms": 600_000})).await;
    let begin = Instant::now();
    account.reaches(LinkStatus::Connecting).await;
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    stage.say(boris, anna, "пока заморожен").await;
    stage.clear_faults().await;
    account.until(1).await;
    assert_eq!(stage.stat("keys_killed").await, 0);
}

#[tokio::test]
async fn a_connection_that_swallows_everything_is_noticed_by_its_pings() {
    let rarely = Duration::from_secs(60);
    let stage = Stage::with(Options::default(), Timings { probe_every: rarely, ..quick() }).await;
    let (mut account, anna, boris) = account(&stage).await;
    account.settle().await;
    stage.fault(json!({"kind": "mute", "user": anna})).await;
    let begin = Instant::now();
    account.reaches(LinkStatus::Connecting).await;
    let bound = quick().ping_every + quick().ping_timeout + Duration::from_secs(1);
    assert!(begin.elapsed() < bound, "{:?}", begin.elapsed());
    stage.say(boris, anna, "в тишине").await;
    account.until(1).await;
    assert_eq!(stage.stat("keys_killed").await, 0);
}

#[tokio::test]
async fn a_call_without_an_answer_ends_in_time() {
    let stage = Stage::new().await;
    let (account, ..) = account(&stage).await;
    stage.fault(json!({"kind": "latency", "ms": 600_000})).await;
    let begin = Instant::now();
    let error = account.calls().probe().await.unwrap_err();
    assert!(matches!(error, CallError::Lost(_)), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_idle_revoked_session_is_found_out() {
    let stage = Stage::new().await;
    for (error, problem) in [
        ("AUTH_KEY_UNREGISTERED", AccountProblem::SignedOut),
        ("SESSION_REVOKED", AccountProblem::SignedOut),
        ("USER_DEACTIVATED_BAN", AccountProblem::Deactivated),
    ] {
        let (mut account, anna, _) = account(&stage).await;
        account.settle().await;
        stage.fault(json!({"kind": "revoke", "user": anna, "error": error})).await;
        assert_eq!(account.end().await, IntakeError::Ended(problem));
        account.reaches(LinkStatus::Ended(problem)).await;
        assert!(matches!(account.calls().probe().await, Err(CallError::NotConnected)));
        let connects = stage.stat("connects").await;
        sleep(Duration::from_millis(700)).await;
        assert_eq!(stage.stat("connects").await, connects, "nobody tries again");
        account.close().await;
    }
}

#[tokio::test]
async fn a_key_that_telegram_forgot_means_signed_out_and_is_not_replaced() {
    let stage = Stage::new().await;
    let (mut account, anna, _) = account(&stage).await;
    stage.fault(json!({"kind": "forget_keys", "user": anna})).await;
    assert_eq!(account.end().await, IntakeError::Ended(AccountProblem::SignedOut));
}

#[tokio::test]
async fn a_key_used_twice_is_told_as_such() {
    let stage = Stage::new().await;
    let (mut account, ..) = account(&stage).await;
    let accepts = *account.accepts.lock().unwrap();
    let rows = &account.rows;
    let copy = Rows::new(rows.session.clone(), rows.self_id, rows.state.clone());
    let mut thief = Account::open(&stage, copy, accepts);
    let (first, second) = tokio::join!(account.end(), thief.end());
    assert_eq!((first, second), (IntakeError::Ended(AccountProblem::Duplicated), IntakeError::Ended(AccountProblem::Duplicated)));
    assert_eq!(stage.stat("keys_killed").await, 1);
}

#[tokio::test]
async fn nothing_connects_or_calls_while_the_gate_is_closed() {
    let stage = Stage::new().await;
    let (mut account, anna, boris) = account(&stage).await;
    account.gate.store(false, Ordering::Relaxed);
    assert!(matches!(account.calls().probe().await, Err(CallError::NotConnected)));
    account.reaches(LinkStatus::Connecting).await;
    sleep(Duration::from_millis(600)).await;
    assert_eq!(stage.stat("connections").await, 0);
    stage.say(boris, anna, "m").await;
    account.gate.store(true, Ordering::Relaxed);
    account.until(1).await;
}

#[tokio::test]
async fn a_link_that_is_closed_ends_its_intake() {
    let stage = Stage::new().await;
    let (mut account, ..) = account(&stage).await;
    account.settle().await;
    account.close().await;
    assert_eq!(account.end().await, IntakeError::Closed);
}

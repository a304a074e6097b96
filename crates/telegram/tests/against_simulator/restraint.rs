//! What we do not do to Telegram: connect all at once, or ask again before it wants to be asked.

use crate::account::{Account, PATIENCE};
use crate::stage::Stage;
use serde_json::json;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};
use tuberry_domain::account::AccountTrouble;
use tuberry_telegram::LinkStatus;

async fn trouble(account: &Account, wanted: impl Fn(AccountTrouble) -> bool) {
    let mut trouble = account.link.as_ref().unwrap().trouble();
    timeout(PATIENCE, trouble.wait_for(|trouble| trouble.is_some_and(&wanted))).await.expect("the trouble is told").unwrap();
}

async fn calls(stage: &Stage, method: &str) -> i64 {
    stage.get("stats").await["rpc"][method].as_i64().unwrap_or(0)
}

#[tokio::test]
async fn accounts_that_were_lost_together_come_back_one_after_the_other() {
    let stage = Stage::paced(NonZeroU32::new(20).unwrap()).await;
    let mut accounts = Vec::new();
    for _ in 0..12 {
        accounts.push(Account::settled(&stage).await.0);
    }
    stage.fault(json!({"kind": "drop_connections"})).await;
    let begin = Instant::now();
    for account in &accounts {
        account.reaches(LinkStatus::Connecting).await;
    }
    for account in &accounts {
        account.reaches(LinkStatus::Up).await;
    }
    let took = begin.elapsed();
    assert!(took > Duration::from_millis(380), "12 at 20 a second: {took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(stage.stat("keys_killed").await, 0);
}

#[tokio::test]
async fn telegram_out_of_reach_is_told_after_a_while_and_over_when_it_is_back() {
    let stage = Stage::new().await;
    let (mut account, anna, boris) = Account::settled(&stage).await;
    stage.fault(json!({"kind": "refuse_connections", "seconds": 3.0})).await;
    stage.fault(json!({"kind": "drop_connections", "user": anna})).await;
    let begin = Instant::now();
    trouble(&account, |trouble| trouble == AccountTrouble::Unreachable).await;
    assert!(begin.elapsed() >= Duration::from_secs(1), "{:?}", begin.elapsed());
    stage.say(boris, anna, "m").await;
    account.until(1).await;
    account.settle().await;
    assert_eq!(*account.link.as_ref().unwrap().trouble().borrow(), None);
}

#[tokio::test]
async fn a_flood_wait_for_the_connection_is_waited_out_without_another_attempt() {
    let stage = Stage::new().await;
    let (mut account, anna, boris) = Account::settled(&stage).await;
    stage.fault(json!({"kind": "flood_wait", "user": anna, "method": "help.getConfig", "seconds": 2, "times": 1})).await;
    let connects = stage.stat("connects").await;
    stage.fault(json!({"kind": "drop_connections", "user": anna})).await;
    trouble(&account, |trouble| matches!(trouble, AccountTrouble::ReceivingWaits(_))).await;
    let begin = Instant::now();
    stage.say(boris, anna, "потом").await;
    account.until(1).await;
    assert!(begin.elapsed() > Duration::from_millis(1900), "{:?}", begin.elapsed());
    assert_eq!(stage.stat("connects").await, connects + 2);
    account.settle().await;
    assert_eq!(*account.link.as_ref().unwrap().trouble().borrow(), None, "it is over");
}

#[tokio::test]
async fn a_flood_wait_for_the_difference_is_waited_out_without_another_question() {
    let stage = Stage::new().await;
    let (mut account, anna, boris) = Account::settled(&stage).await;
    stage.fault(json!({"kind": "flood_wait", "user": anna, "method": "updates.getDifference", "seconds": 2, "times": 1})).await;
    let asked = calls(&stage, "updates.getDifference").await;
    stage.fault(json!({"kind": "drop_connections", "user": anna})).await;
    stage.say(boris, anna, "потом").await;
    let begin = Instant::now();
    account.until(1).await;
    assert!(begin.elapsed() > Duration::from_millis(1900), "{:?}", begin.elapsed());
    assert_eq!(calls(&stage, "updates.getDifference").await, asked + 2);
}

#[tokio::test]
async fn a_flood_wait_for_the_probe_is_waited_out_too() {
    let stage = Stage::new().await;
    let (mut account, anna, _) = Account::settled(&stage).await;
    let proof = account.calls().last_proof();
    stage.fault(json!({"kind": "flood_wait", "user": anna, "method": "updates.getState", "seconds": 30, "times": 1})).await;
    sleep(Duration::from_millis(500)).await;
    let asked = calls(&stage, "updates.getState").await;
    account.settle().await;
    account.settle().await;
    assert_eq!(calls(&stage, "updates.getState").await, asked);
    assert!(account.calls().status() == LinkStatus::Up && account.calls().last_proof() >= proof);
}

#[tokio::test]
async fn an_application_that_telegram_refuses_is_told_and_not_tried_again_at_once() {
    let stage = Stage::new().await;
    let (account, anna, _) = Account::settled(&stage).await;
    stage
        .fault(json!({"kind": "rpc_error", "user": anna, "method": "help.getConfig", "code": 400, "message": "API_ID_INVALID", "times": 9}))
        .await;
    stage.fault(json!({"kind": "drop_connections", "user": anna})).await;
    trouble(&account, |trouble| trouble == AccountTrouble::Application).await;
    let connects = stage.stat("connects").await;
    sleep(Duration::from_millis(1500)).await;
    assert_eq!(stage.stat("connects").await, connects);
}

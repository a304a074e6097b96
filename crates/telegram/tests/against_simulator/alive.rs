//! Whether an account is known to be alive: probes that pass through the intake, connections that push nothing, intakes that hang.

use crate::account::{Account, PATIENCE};
use crate::stage::{Stage, quick};
use serde_json::json;
use std::time::{Duration, Instant};
use telegram_simulator::Options;
use tokio::time::sleep;
use tuberry_telegram::{LinkStatus, Timings};

/// Takes in what comes until there is a proof of life later than `last`.
async fn proven_after(account: &mut Account, last: Option<tokio::time::Instant>) -> tokio::time::Instant {
    let begin = Instant::now();
    loop {
        account.settle().await;
        match account.calls().last_proof() {
            Some(proof) if Some(proof) > last => return proof,
            _ => assert!(begin.elapsed() < PATIENCE, "no proof of life"),
        }
    }
}

#[tokio::test]
async fn a_probe_proves_life_only_through_an_intake_that_takes_it_in() {
    let stage = Stage::new().await;
    let (mut account, ..) = Account::settled(&stage).await;
    let first = account.calls().last_proof().expect("the first difference is a proof");
    let last = proven_after(&mut account, Some(first)).await;
    // The intake hangs: nobody asks it for batches, while the connection answers every probe.
    sleep(Duration::from_secs(1)).await;
    assert_eq!(account.calls().last_proof(), Some(last));
    assert_eq!(account.calls().status(), LinkStatus::Up);
    proven_after(&mut account, Some(last)).await;
}

#[tokio::test]
async fn a_ping_proves_nothing() {
    let stage = Stage::with(Options::default(), Timings { probe_every: Duration::from_secs(60), ..quick() }).await;
    let (mut account, ..) = Account::settled(&stage).await;
    let first = account.calls().last_proof().unwrap();
    account.settle().await;
    assert_eq!(account.calls().last_proof(), Some(first), "pings went on");
    account.calls().probe().await.unwrap();
    proven_after(&mut account, Some(first)).await;
}

#[tokio::test]
async fn a_deaf_connection_loses_nothing_and_is_replaced() {
    let stage = Stage::new().await;
    let (mut account, anna, boris) = Account::settled(&stage).await;
    stage.fault(json!({"kind": "deafen", "user": anna})).await;
    let connects = stage.stat("connects").await;
    let bound = quick().probe_every + quick().deaf_after + Duration::from_secs(1);
    let begin = Instant::now();
    stage.say(boris, anna, "раз").await;
    account.until(1).await;
    assert!(begin.elapsed() < bound, "{:?}", begin.elapsed());
    assert_eq!(stage.stat("connects").await, connects, "one lost update is no reason to connect anew");
    stage.say(boris, anna, "два").await;
    account.until(2).await;
    account.settle().await;
    assert_eq!(stage.stat("connects").await, connects + 1);
    let differences = async || stage.get("stats").await["rpc"]["updates.getDifference"].as_i64();
    let before = differences().await;
    stage.say(boris, anna, "три").await;
    account.until(3).await;
    assert_eq!(differences().await, before, "the new connection pushes");
    assert_eq!((account.rows.texts(), account.rows.repeats), (vec!["раз", "два", "три"], 0));
    assert_eq!(stage.stat("keys_killed").await, 0);
}

#[tokio::test]
async fn updates_that_are_lost_on_any_connection_come_all_the_same_and_prove_life() {
    let stage = Stage::new().await;
    let (mut account, anna, boris) = Account::settled(&stage).await;
    stage.fault(json!({"kind": "lose_updates", "user": anna, "times": 1000})).await;
    let before = account.calls().last_proof().unwrap();
    for n in 0..4 {
        stage.say(boris, anna, &format!("m{n}")).await;
        account.until(n + 1).await;
    }
    proven_after(&mut account, Some(before)).await;
    assert_eq!((account.rows.texts(), stage.stat("keys_killed").await), (vec!["m0", "m1", "m2", "m3"], 0));
}

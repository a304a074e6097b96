//! One connection per key; the timer of `ping_delay_disconnect`.

use crate::client::{Connection, Control, simulator};
use grammers_tl_types::functions as f;
use std::time::{Duration, Instant};
use telegram_simulator::{Options, Simulator};

async fn killed(control: &Control) -> (u64, u64) {
    let stats = control.get("/control/stats").await;
    (stats["keys_killed"].as_u64().unwrap(), stats["max_connections_per_key"].as_u64().unwrap())
}

#[tokio::test]
async fn a_key_in_use_by_two_connections_is_dead_for_both_and_for_ever() {
    let (simulator, control) = simulator().await;
    let user = control.user("A").await;
    let (first, key) = control.signed_in(user).await;
    let at = control.dc(4).await;
    let second = Connection::open(at, 4, key).await;
    let duplicated = (406, "AUTH_KEY_DUPLICATED".to_owned());
    assert_eq!(second.refusal(&f::updates::GetState {}).await, duplicated);
    assert_eq!(first.refusal(&f::updates::GetState {}).await, duplicated);
    first.close().await;
    second.close().await;
    let third = Connection::open(at, 4, key).await;
    assert_eq!(third.refusal(&f::updates::GetState {}).await, duplicated);
    assert_eq!(killed(&control).await, (1, 2));
    simulator.stop().await;
}

#[tokio::test]
async fn a_key_may_move_to_a_new_connection_right_after_the_old_one_ended() {
    let (simulator, control) = simulator().await;
    let user = control.user("A").await;
    let (mut connection, key) = control.signed_in(user).await;
    let at = control.dc(4).await;
    for _ in 0..20 {
        connection.close().await;
        connection = Connection::open(at, 4, key).await;
        connection.call(&f::updates::GetState {}).await.unwrap();
    }
    assert_eq!(killed(&control).await, (0, 1));
    simulator.stop().await;
}

#[tokio::test]
async fn an_older_connection_that_ends_within_the_grace_is_no_overlap() {
    let (simulator, control) = simulator().await;
    let user = control.user("A").await;
    let (first, key) = control.signed_in(user).await;
    let at = control.dc(4).await;
    let second = Connection::open(at, 4, key).await;
    let later = async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        first.close().await;
    };
    let state = f::updates::GetState {};
    let (state, ()) = tokio::join!(second.call(&state), later);
    state.unwrap();
    assert_eq!(killed(&control).await, (0, 1));
    simulator.stop().await;
}

#[tokio::test]
async fn without_strict_keys_two_connections_are_only_counted() {
    let simulator = Simulator::start(Options { strict_keys: false, ..Options::default() }).await.unwrap();
    let control = Control::new(simulator.http_url());
    let user = control.user("A").await;
    let (first, key) = control.signed_in(user).await;
    let second = Connection::open(control.dc(4).await, 4, key).await;
    second.call(&f::updates::GetState {}).await.unwrap();
    first.call(&f::updates::GetState {}).await.unwrap();
    assert_eq!(killed(&control).await, (0, 2));
    simulator.stop().await;
}

#[tokio::test]
async fn only_ping_delay_disconnect_resets_its_timer() {
    let (simulator, control) = simulator().await;
    let user = control.user("A").await;
    let (connection, _) = control.signed_in(user).await;
    let arm = || connection.call(&f::PingDelayDisconnect { ping_id: 1, disconnect_delay: 1 });
    let count = async || control.get("/control/stats").await["connections"].as_u64().unwrap();
    arm().await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    arm().await.unwrap();
    let began = Instant::now();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(count().await, 1, "the second call has reset the timer");
    connection.call(&f::updates::GetState {}).await.unwrap();
    connection.call(&f::Ping { ping_id: 2 }).await.unwrap();
    while count().await == 1 && began.elapsed() < Duration::from_secs(3) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let open = began.elapsed();
    assert!((0.9..1.4).contains(&open.as_secs_f64()), "closed after {open:?}");
    simulator.stop().await;
}

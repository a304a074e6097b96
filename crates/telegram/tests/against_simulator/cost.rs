//! What an account costs. Meaningful in release builds alone: `cargo test --release -p tuberry-telegram -- --ignored`.

use crate::account::Account;
use crate::stage::Stage;
use serde_json::json;
use std::time::Duration;

const MESSAGES: usize = 3000;

/// CPU time of the calling thread.
fn thread_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split_whitespace().next().unwrap().parse().unwrap())
}

#[test]
#[ignore = "measures; only a release build tells"]
fn a_live_message_costs_less_than_a_tenth_of_a_millisecond() {
    // The simulator on its own threads; the account, with everything that grammers spawns, on this one.
    let world = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let stage = world.block_on(Stage::new());
    let stage: &'static Stage = Box::leak(Box::new(stage));
    let (anna, boris) = world.block_on(async { (stage.user(json!({})).await, stage.user(json!({})).await) });
    let ours = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    ours.block_on(async {
        let mut account = Account::new(stage, anna).await;
        account.settle().await;
        println!("future of next_batch: {} bytes", size_of_val(&account.intake.next_batch()));
        let before = thread_cpu();
        world.spawn(async move {
            for n in 0..MESSAGES {
                stage.say(boris, anna, &format!("сообщение номер {n}")).await;
            }
        });
        account.until(MESSAGES).await;
        let each = (thread_cpu() - before) / MESSAGES as u32;
        println!("{MESSAGES} messages: {each:?} of CPU each");
        assert!(each < Duration::from_micros(100), "{each:?}");
    });
}

//! A worker that Telegram does not hear any more, and whose accounts move all the same.

use super::chaos::host::Host;
use crate::support::proxy::Line;
use crate::support::{Setup, Stack, wait_until};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(180);

/// Telegram keeps a connection whose close it did not hear for up to 75 s: the key rests for so long before another worker uses it.
#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_a_worker_that_is_cut_off_from_telegram_rest_before_they_move() {
    let stack = Stack::start(Setup { workers: 0, own_cluster: true, ..Setup::default() }).await;
    let host = Host::new(&stack).await;
    let _cut_off = host.start_worker(&stack).await;
    let people = stack.seed_accounts(4).await;
    stack.wait_all_served(4, PATIENCE).await;
    let first = stack.shares().await;
    assert_eq!(first.values().sum::<i64>(), 4);

    host.set_telegram(Line::Frozen);
    let _joins = stack.start_worker_with(&[]).await;
    wait_until(PATIENCE, "two accounts at the worker that joined", async || {
        stack.assert_keys_were_never_shared().await;
        let now = stack.shares().await;
        (now.len() == 2 && now.values().all(|&count| count == 2)).then_some(())
    })
    .await;
    let customer = stack.person("Клиент").await;
    for (person, _) in &people {
        stack.write(customer, *person, "Есть кто?").await;
    }
    // Those that moved are heard at once, the others when the first worker can be reached again.
    wait_until(PATIENCE, "the topics of the accounts that moved", async || (stack.topics().await.len() == 2).then_some(())).await;
    host.set_telegram(Line::Open);
    wait_until(PATIENCE, "all topics", async || (stack.topics().await.len() == 4).then_some(())).await;
    stack.assert_keys_were_never_shared().await;
}

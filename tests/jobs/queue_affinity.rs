//! Affinity: a job of an account runs only where the account is owned now.

use super::queue_kit::*;
use crate::support::database;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tuberry_domain::AccountId;
use tuberry_jobs::queue::cancel_waiting;

const SOON: Duration = Duration::from_secs(5);

fn accounts(ids: &[i32]) -> BTreeSet<AccountId> {
    ids.iter().copied().map(AccountId).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_follow_the_owner_of_their_account_and_wait_without_one() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let (one, two) =
        (Running::start(config(&database.url), &log.at("one")), Running::start(config(&database.url), &log.at("two")));
    one.queue.own(accounts(&[1]));
    two.queue.own(accounts(&[2]));
    put_all(&database, &(0..30).map(|n| Act::n(n).account(1 + i32::try_from(n % 3).unwrap())).collect::<Vec<_>>()).await;
    wait_count(pool, "status = 'Done'", 20, SOON).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(log.runs().len(), 20, "nobody owns account 3");
    for run in log.runs() {
        assert_eq!(run.place, if run.n % 3 == 0 { "one" } else { "two" });
    }
    let claimed = Instant::now();
    one.queue.own(accounts(&[1, 3]));
    wait_count(pool, "status = 'Done'", 30, SOON).await;
    assert!(claimed.elapsed() < Duration::from_millis(500), "{:?}", claimed.elapsed());
    one.queue.own(accounts(&[1]));
    two.queue.own(accounts(&[2, 3]));
    put(&database, &Act::n(100).account(3)).await;
    wait_status(pool, 100, "Done").await;
    assert_eq!(log.runs_of(100)[0].place, "two");
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_account_gives_back_what_has_not_started() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    let (one, two) =
        (Running::start(config(&database.url), &log.at("one")), Running::start(config(&database.url), &log.at("two")));
    one.queue.own(accounts(&[1]));
    put_all(&database, &(0..60).map(|n| Act::n(n).account(1).sleeps(150)).collect::<Vec<_>>()).await;
    wait_count(pool, "status = 'Done'", 16, SOON).await;
    one.queue.own(accounts(&[]));
    two.queue.own(accounts(&[1]));
    wait_count(pool, "status = 'Done'", 60, SOON).await;
    let moved = log.runs().iter().filter(|run| run.place == "two").count();
    assert!((20..=44).contains(&moved), "{moved}");
    assert_eq!(log.runs().len(), 60);
    assert_eq!(count(pool, "attempts <> 1 or lost_leases > 0").await, 0);
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_waiting_jobs_of_an_ended_account_die_and_those_behind_them_come_to_their_turn() {
    let database = database().await;
    let pool = database.store.pool();
    let log = Log::default();
    put_all(&database, &[Act::n(1).account(7).key("a"), Act::n(2).account(7).key("a"), Act::n(3).key("a"), Act::n(4).account(7)])
        .await;
    put_all(&database, &[Act::n(5).account(8).key("b"), Act::n(6).account(7).key("b"), Act::n(7).key("b")]).await;
    let running = Running::start(config(&database.url), &log);
    let mut tx = database.store.begin().await.unwrap();
    assert_eq!(cancel_waiting(&mut tx, "another-kind", AccountId(7), "gone").await.unwrap(), 0);
    assert_eq!(cancel_waiting(&mut tx, "test-act", AccountId(7), "the account was removed").await.unwrap(), 4);
    tx.commit().await.unwrap();
    wait_status(pool, 3, "Done").await;
    assert_eq!(row(pool, 1).await.error.as_deref(), Some("the account was removed"));
    assert_eq!(count(pool, "status = 'Killed'").await, 4);
    assert_eq!(log.started(), [3], "account 8 has no owner and holds its key");
    running.queue.own(accounts(&[8]));
    wait_status(pool, 7, "Done").await;
    assert_eq!(log.started(), [3, 5, 7]);
    running.stop().await;
}

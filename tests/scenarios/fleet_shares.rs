//! How workers share accounts, as real processes: joins and leaves, weights, a rolling restart, and what finds no room.

use crate::support::{Process, Setup, Stack, free_port, wait_until};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

fn variables<const N: usize>(variables: [(&str, &str); N]) -> Vec<(String, String)> {
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// Owner and epoch of every account's lease.
async fn leases(stack: &Stack) -> BTreeMap<i32, (Option<String>, i64)> {
    let rows: Vec<(i32, Option<String>, i64)> =
        sqlx::query_as("select object, owner, epoch from personal_telegram_leases where class = 7101")
            .fetch_all(stack.store().pool())
            .await
            .expect("leases");
    rows.into_iter().map(|(account, owner, epoch)| (account, (owner, epoch))).collect()
}

/// How many accounts each owner has, the fewest first.
async fn shares(stack: &Stack) -> Vec<usize> {
    let mut by_owner: BTreeMap<String, usize> = BTreeMap::new();
    leases(stack).await.into_values().filter_map(|(owner, _)| owner).for_each(|owner| *by_owner.entry(owner).or_default() += 1);
    let mut shares: Vec<usize> = by_owner.into_values().collect();
    shares.sort_unstable();
    shares
}

/// Waits for these shares, and answers how long it took.
async fn wait_for_shares(stack: &Stack, wanted: &[usize]) -> Duration {
    let began = Instant::now();
    let mut last = Vec::new();
    while began.elapsed() < MINUTE {
        last = shares(stack).await;
        if last == wanted {
            return began.elapsed();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("shares {wanted:?} within {MINUTE:?}; at last {last:?}");
}

async fn stop(worker: Process) {
    worker.signal(Signal::SIGTERM);
    assert!(worker.wait().await.success(), "{}", worker.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_moves_no_account_more_than_twice() {
    let mut stack = Stack::start(Setup { workers: 3, ..Setup::default() }).await;
    stack.seed_accounts(20).await;
    wait_for_shares(&stack, &[6, 7, 7]).await;
    stack.wait_all_served(20, MINUTE).await;
    let before = leases(&stack).await;
    for _ in 0..3 {
        stop(stack.workers.remove(0)).await;
        let took = wait_for_shares(&stack, &[10, 10]).await;
        assert!(took < Duration::from_secs(10), "{took:?} after a leave");
        stack.add_worker().await;
        let took = wait_for_shares(&stack, &[6, 7, 7]).await;
        assert!(took < Duration::from_secs(15), "{took:?} after the start of a process");
    }
    for (account, (_, epoch)) in leases(&stack).await {
        let moves = epoch - before[&account].1;
        assert!((1..=2).contains(&moves), "account {account} moved {moves} times");
    }
    stack.assert_keys_were_never_shared().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_joins_takes_the_excess_and_nothing_else_moves() {
    let stack = Stack::start(Setup { workers: 2, ..Setup::default() }).await;
    stack.seed_accounts(12).await;
    wait_for_shares(&stack, &[6, 6]).await;
    stack.wait_all_served(12, MINUTE).await;
    let before = leases(&stack).await;
    // Twice the share of each of the others.
    let heavy = stack.start_worker_with(&variables([("WORKER_WEIGHT", "2")])).await;
    wait_for_shares(&stack, &[3, 3, 6]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let moved = leases(&stack).await.into_iter().filter(|(account, (_, epoch))| *epoch != before[account].1).count();
    assert_eq!(moved, 6);
    stop(heavy).await;
    wait_for_shares(&stack, &[6, 6]).await;
    stack.assert_keys_were_never_shared().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_finds_no_room_waits_and_can_be_seen_everywhere() {
    let mut stack = Stack::start(Setup { workers: 0, ..Setup::default() }).await;
    let port = free_port();
    let small = variables([("WORKER_MAX_ACCOUNTS", "2"), ("WORKER_LISTEN", &format!("127.0.0.1:{port}"))]);
    let worker = stack.start_worker_with(&small).await;
    stack.seed_accounts(3).await;
    wait_for_shares(&stack, &[2]).await;

    let get = async |path: &str| {
        let answer = reqwest::get(format!("http://127.0.0.1:{port}{path}")).await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    };
    let ready = wait_until(MINUTE, "both connections up", async || {
        let (status, text) = get("/readyz").await;
        let ready: Value = serde_json::from_str(&text).ok()?;
        (status == 200 && ready["accounts"]["connected"] == 2).then_some(ready)
    })
    .await;
    assert_eq!(ready["cluster"]["accounts_without_room"], 1, "{ready}");
    assert_eq!((&ready["accounts"]["owned"], &ready["accounts"]["capacity"]), (&2.into(), &2.into()), "{ready}");
    assert_eq!(get("/healthz").await, (200, "ok".to_owned()));
    let metrics = get("/metrics").await.1;
    assert!(metrics.lines().any(|line| line == "tuberry_cluster_accounts_without_room 1"), "{metrics}");
    assert!(metrics.lines().any(|line| line == "tuberry_accounts_owned 2"), "{metrics}");
    let (_, api) = stack.call("GET", "/readyz", "", None).await;
    assert_eq!(
        (&api["accounts"]["without_room"], &api["accounts"]["unserved"], &api["accounts"]["workers"]),
        (&1.into(), &1.into(), &1.into())
    );

    // Two minutes later, the account itself says so; a worker more, and it does not.
    sqlx::query(
        "update personal_telegram_sessions set created_at = created_at - interval '3 minutes'
          where account_id not in (select object from personal_telegram_leases where class = 7101 and owner is not null)",
    )
    .execute(stack.store().pool())
    .await
    .unwrap();
    let texts = async || {
        let (_, accounts) = stack.call("GET", "/api/personal-telegram-accounts", &stack.tenant.token, None).await;
        let texts = accounts.as_array().into_iter().flatten().filter_map(|account| account["last_error"].as_str());
        texts.map(str::to_owned).collect::<Vec<_>>()
    };
    wait_until(MINUTE, "a text at the account", async || {
        let texts = texts().await;
        (texts.len() == 1 && texts[0].contains("WORKER_MAX_ACCOUNTS")).then_some(())
    })
    .await;
    let second = stack.start_worker_with(&[]).await;
    wait_for_shares(&stack, &[1, 2]).await;
    wait_until(MINUTE, "no text any more", async || texts().await.is_empty().then_some(())).await;
    let (_, api) = stack.call("GET", "/readyz", "", None).await;
    assert_eq!((&api["accounts"]["without_room"], &api["accounts"]["unserved"]), (&0.into(), &0.into()));
    stack.workers.extend([worker, second]);
    stack.assert_keys_were_never_shared().await;
}

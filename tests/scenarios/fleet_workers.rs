//! Workers as real processes, and the simulator's strict keys as the judge: shares, hand-overs, kills, stops, restarts of PostgreSQL.

use crate::support::{Person, Setup, Stack, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tuberry::embedded::Restart;

const TWO_MINUTES: Duration = Duration::from_secs(120);

async fn wait_for_shares(stack: &Stack, patience: Duration, wanted: &[i64]) {
    let mut last = BTreeMap::new();
    let what = format!("shares {wanted:?}");
    let began = Instant::now();
    loop {
        let shares = stack.shares().await;
        let mut counts: Vec<i64> = shares.values().copied().collect();
        counts.sort_unstable();
        if counts == wanted {
            return;
        }
        last.clone_from(&shares);
        assert!(began.elapsed() < patience, "{what} within {patience:?}; at last {last:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Connects `count` accounts with one customer each.
async fn populate(stack: &Stack, count: usize) -> Vec<(Person, Person)> {
    let mut people = Vec::new();
    for index in 0..count {
        let owner = stack.person(&format!("Сотрудник {index}")).await;
        stack.connect(owner).await;
        people.push((owner, stack.person(&format!("Клиент {index}")).await));
    }
    people
}

/// Every customer writes; all of it must show in the topics, once and in order.
async fn everybody_writes(stack: &Stack, people: &[(Person, Person)], text: &str) {
    for (owner, customer) in people {
        stack.write(*customer, *owner, text).await;
    }
}

async fn wait_mirrored(stack: &Stack, count: usize, texts: &[&str]) {
    for index in 0..count {
        let name = format!("Клиент {index}");
        let expected: Vec<String> = texts.iter().map(|text| format!("💬 {name}: {text}")).collect();
        wait_until(TWO_MINUTES, &format!("{texts:?} of {name}"), async || {
            let topics = stack.topics().await;
            let mine: Vec<&serde_json::Value> =
                topics.iter().filter(|topic| topic["name"].as_str().is_some_and(|title| title.ends_with(&name))).collect();
            (mine.len() == 1 && Stack::mirrored(mine[0]) == expected).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_share_evenly_and_one_that_leaves_hands_over_at_once() {
    let mut stack = Stack::start(Setup::default()).await;
    let people = populate(&stack, 5).await;
    wait_for_shares(&stack, Duration::from_secs(10), &[5]).await;
    stack.add_worker().await;
    wait_for_shares(&stack, Duration::from_secs(15), &[2, 3]).await;
    everybody_writes(&stack, &people, "один").await;
    wait_mirrored(&stack, 5, &["один"]).await;

    let leaving = stack.workers.remove(0);
    leaving.signal(Signal::SIGTERM);
    assert!(leaving.wait().await.success(), "{}", leaving.output());
    let left = Instant::now();
    everybody_writes(&stack, &people, "два").await;
    wait_for_shares(&stack, Duration::from_secs(5), &[5]).await;
    assert!(left.elapsed() < Duration::from_secs(4), "{:?}", left.elapsed());
    wait_mirrored(&stack, 5, &["один", "два"]).await;
    stack.assert_keys_were_never_shared().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_accounts_of_a_killed_worker_are_served_by_the_others_and_nothing_is_lost() {
    let mut stack = Stack::start(Setup { workers: 2, ..Setup::default() }).await;
    let people = populate(&stack, 4).await;
    wait_for_shares(&stack, Duration::from_secs(20), &[2, 2]).await;
    stack.workers.remove(0).kill().await;
    let killed = Instant::now();
    everybody_writes(&stack, &people, "кто там?").await;
    wait_for_shares(&stack, Duration::from_secs(25), &[4]).await;
    assert!(killed.elapsed() > Duration::from_secs(10), "the dead owner's connections are given time to close");
    wait_mirrored(&stack, 4, &["кто там?"]).await;
    stack.assert_keys_were_never_shared().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_worker_keeps_its_accounts_for_itself_and_goes_on() {
    let stack = Stack::start(Setup { workers: 2, ..Setup::default() }).await;
    let people = populate(&stack, 4).await;
    wait_for_shares(&stack, Duration::from_secs(20), &[2, 2]).await;
    let before = stack.shares().await;
    let stopped = &stack.workers[0];
    stopped.signal(Signal::SIGSTOP);
    everybody_writes(&stack, &people, "раз").await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(stack.shares().await, before, "its connections may still be open: nobody takes its accounts");
    stopped.signal(Signal::SIGCONT);
    everybody_writes(&stack, &people, "два").await;
    wait_mirrored(&stack, 4, &["раз", "два"]).await;
    wait_for_shares(&stack, Duration::from_secs(20), &[2, 2]).await;
    stack.assert_keys_were_never_shared().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_posted_while_postgresql_was_away_is_not_posted_again() {
    let stack = Stack::start(Setup { own_cluster: true, ..Setup::default() }).await;
    let people = populate(&stack, 3).await;
    wait_for_shares(&stack, Duration::from_secs(20), &[3]).await;
    everybody_writes(&stack, &people, "раз").await;
    wait_mirrored(&stack, 3, &["раз"]).await;
    let counts = async |sql: &'static str, wanted: i64| {
        wait_until(TWO_MINUTES, &format!("{wanted} for {sql}"), async || {
            (sqlx::query_scalar::<_, i64>(sql).fetch_one(stack.store().pool()).await.ok()? == wanted).then_some(())
        })
        .await;
    };
    // A moment, and so long that the runs are taken for lost.
    for (text, away) in [("два", Duration::from_secs(4)), ("три", Duration::from_secs(13))] {
        stack.control("POST", "/faults", json!({ "kind": "latency", "ms": 2_000 })).await;
        everybody_writes(&stack, &people, text).await;
        counts("select count(*) from personal_telegram_parts where state = 'sending'", 3).await;
        // Telegram answers while nobody can write that down.
        let embedded = &stack.cluster().embedded;
        kill(Pid::from_raw(embedded.pid().try_into().unwrap()), Signal::SIGQUIT).unwrap();
        tokio::time::sleep(away).await;
        embedded.restart(Restart::Fast).await.unwrap();
        stack.control("DELETE", "/faults", json!({})).await;
        counts("select count(*) from messages where status <> 'delivered'", 0).await;
    }
    wait_mirrored(&stack, 3, &["раз", "два", "три"]).await;
    counts("select count(*) from personal_telegram_parts where attempts > 1", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_finds_a_call_begun_hears_how_it_ended() {
    let mut stack = Stack::start(Setup::default()).await;
    let people = populate(&stack, 1).await;
    wait_for_shares(&stack, Duration::from_secs(20), &[1]).await;
    everybody_writes(&stack, &people, "раз").await;
    wait_mirrored(&stack, 1, &["раз"]).await;
    let pool = stack.store().pool().clone();
    let message = async |sql: &'static str| {
        wait_until(TWO_MINUTES, sql, async || sqlx::query_scalar::<_, i32>(sql).fetch_optional(&pool).await.ok()?).await
    };
    stack.control("POST", "/faults", json!({ "kind": "latency", "ms": 60_000 })).await;
    everybody_writes(&stack, &people, "два").await;
    message("select message_id from personal_telegram_parts where state = 'sending'").await;
    stack.workers.remove(0).kill().await;
    stack.control("DELETE", "/faults", json!({})).await;
    let calls = async |stack: &Stack| stack.control("GET", "/stats", json!(null)).await["bot"]["sendMessage"].clone();
    let before = calls(&stack).await;
    assert!(before.as_i64() > Some(0), "{before}");
    stack.add_worker().await;
    let id = message(
        "select p.message_id from personal_telegram_parts p join apalis.jobs j on j.job_type = 'mirror-message' and j.status = 'Running'
          where p.state = 'sending' and j.runs = 2",
    );
    let id = tuberry_domain::MessageId(id.await);
    let known = tuberry_domain::BotMessageId(77);
    tuberry_storage::mirror::Mirror::start(&pool).part_sent(id, 0, known, true).await.unwrap();
    message("select 1 where not exists (select from apalis.jobs where job_type = 'mirror-message' and status in ('Pending', 'Running'))").await;
    assert_eq!(calls(&stack).await, before, "it is not posted again");
    let sent = "select sent_id::int from personal_telegram_parts where attempts = 1 order by message_id desc limit 1";
    assert_eq!(message(sent).await, 77);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_postgresql_moves_no_account_and_doubles_nothing() {
    let stack = Stack::start(Setup { workers: 2, own_cluster: true, ..Setup::default() }).await;
    let people = populate(&stack, 4).await;
    wait_for_shares(&stack, Duration::from_secs(20), &[2, 2]).await;
    let before = stack.shares().await;
    everybody_writes(&stack, &people, "раз").await;
    stack.cluster().embedded.restart(Restart::Immediate).await.unwrap();
    everybody_writes(&stack, &people, "два").await;
    wait_mirrored(&stack, 4, &["раз", "два"]).await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(stack.shares().await, before);
    stack.assert_keys_were_never_shared().await;
}

//! Jobs that hold a key let go of it in time: the backend with the locks stands still, so that no lease is renewed while all else goes on, and
//! the simulator says when the connection is gone.

use crate::support::{Setup, Stack, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const TWO_MINUTES: Duration = Duration::from_secs(120);

/// A process that stands still until this is dropped.
struct Frozen(Pid);

impl Frozen {
    /// Stops the backend that holds the worker's locks.
    async fn lock_session(stack: &Stack) -> Self {
        let pid: i32 = sqlx::query_scalar(
            "select distinct pid from pg_locks where locktype = 'advisory' and objsubid = 2 and classid in (7101, 7102)
             and database = (select oid from pg_database where datname = current_database())",
        )
        .fetch_one(stack.store().pool())
        .await
        .expect("one worker with locks");
        let backend = Pid::from_raw(pid);
        kill(backend, Signal::SIGSTOP).expect("a backend on this machine");
        Self(backend)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

/// Stops the renewals while one connection is open, and waits for its end: it comes when the last renewal is 5 s old, and there was one every 2 s.
async fn the_connection_is_closed_without_renewals(stack: &Stack) {
    let frozen = Frozen::lock_session(stack).await;
    let began = Instant::now();
    assert_eq!(stack.connections().await, 1);
    wait_until(TWO_MINUTES, "a closed connection", async || (stack.connections().await == 0).then_some(())).await;
    let waited = began.elapsed();
    drop(frozen);
    assert!(waited > Duration::from_secs(2) && waited < Duration::from_secs(7), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_whose_claim_is_not_renewed_closes_its_connection_and_goes_on_later() {
    let stack = Stack::start(Setup::default()).await;
    let anna = stack.person("Анна").await;
    let (id, _) = stack.start_login().await;
    // The code came from the first job; the second waits for the scan.
    tokio::time::sleep(Duration::from_secs(2)).await;
    the_connection_is_closed_without_renewals(&stack).await;
    stack.scan_current(anna, &id).await;
    stack.login_becomes(&id, "completed").await;
    stack.assert_keys_were_never_shared().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_out_whose_claim_is_not_renewed_closes_its_connection_and_comes_again() {
    let stack = Stack::start(Setup::default()).await;
    let anna = stack.person("Анна").await;
    let account = stack.connect(anna).await;
    let epoch = async |stack: &Stack| -> i64 {
        sqlx::query_scalar("select epoch from personal_telegram_leases where class = 7101 and owner is not null")
            .fetch_optional(stack.store().pool())
            .await
            .unwrap()
            .unwrap_or_default()
    };
    let served = epoch(&stack).await;
    // Every answer takes 9 s: the log-out's first one comes when its claim is long lost.
    stack.control("POST", "/faults", json!({ "kind": "latency", "ms": 9000 })).await;
    let path = format!("/api/personal-telegram-accounts/{account}");
    let (status, answer) = stack.call("DELETE", &path, &stack.tenant.token, None).await;
    assert!(status < 300, "{status} {answer}");
    wait_until(TWO_MINUTES, "the log-out's connection", async || {
        (epoch(&stack).await > served && stack.connections().await == 1).then_some(())
    })
    .await;
    the_connection_is_closed_without_renewals(&stack).await;
    stack.control("DELETE", "/faults", Value::Null).await;
    wait_until(TWO_MINUTES, "a log-out that is done", async || {
        let left = sqlx::query_scalar::<_, i64>("select count(*) from personal_telegram_tombstones");
        (left.fetch_one(stack.store().pool()).await.ok()? == 0).then_some(())
    })
    .await;
    let stats = stack.control("GET", "/stats", Value::Null).await;
    assert!(stats["rpc"]["auth.logOut"].as_i64() >= Some(1), "{stats}");
    stack.assert_keys_were_never_shared().await;
}

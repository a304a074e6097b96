//! Jobs that hold a key let go of it in time: PostgreSQL freezes, so that no lease is renewed and no query ends, and the simulator says when
//! the connection is gone.

use crate::support::{Setup, Stack, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const TWO_MINUTES: Duration = Duration::from_secs(120);

/// A PostgreSQL that stands still, until it is dropped.
struct Frozen(Vec<Pid>);

impl Frozen {
    fn new(stack: &mut Stack) -> Self {
        let postmaster = stack.cluster().embedded.pid();
        let mut frozen = Self(Vec::new());
        frozen.stop(postmaster);
        let children = std::fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap();
        children.split_whitespace().for_each(|child| frozen.stop(child.parse().unwrap()));
        frozen
    }

    fn stop(&mut self, pid: u32) {
        let pid = Pid::from_raw(pid.try_into().unwrap());
        // A backend may have ended in between.
        if kill(pid, Signal::SIGSTOP).is_ok() {
            self.0.push(pid);
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = kill(*pid, Signal::SIGCONT);
        }
    }
}

/// Freezes PostgreSQL while one connection is open, and waits for its end. The lease is 5 s old by then, and was renewed every 2 s.
async fn freeze_until_the_connection_is_closed(stack: &mut Stack) {
    let frozen = Frozen::new(stack);
    let began = Instant::now();
    assert_eq!(stack.connections().await, 1);
    wait_until(TWO_MINUTES, "a closed connection", async || (stack.connections().await == 0).then_some(())).await;
    let waited = began.elapsed();
    drop(frozen);
    assert!(waited > Duration::from_secs(2) && waited < Duration::from_secs(7), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_whose_claim_is_not_renewed_closes_its_connection_and_goes_on_later() {
    let mut stack = Stack::start(Setup { own_cluster: true, ..Setup::default() }).await;
    let anna = stack.person("Анна").await;
    let (id, _) = stack.start_login().await;
    // The code came from the first job; the second waits for the scan.
    tokio::time::sleep(Duration::from_secs(2)).await;
    freeze_until_the_connection_is_closed(&mut stack).await;
    stack.scan_current(anna, &id).await;
    stack.login_becomes(&id, "completed").await;
    stack.assert_keys_were_never_shared().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_out_whose_claim_is_not_renewed_closes_its_connection_and_comes_again() {
    let mut stack = Stack::start(Setup { own_cluster: true, ..Setup::default() }).await;
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
    freeze_until_the_connection_is_closed(&mut stack).await;
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

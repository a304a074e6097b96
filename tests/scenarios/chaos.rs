//! Everything fails, at random and for as long as you like, and nothing is lost: four workers with two hundred accounts are killed, stopped, and
//! cut off from PostgreSQL and from Telegram; PostgreSQL goes away; customers and operators go on writing.
//!
//! `CHAOS_SEED` repeats a run's faults; `CHAOS_MINUTES` is the length of the long run (`make chaos`).

pub(super) mod host;
mod plan;
mod storm;
mod trace;
mod traffic;

use crate::support::{Person, Setup, Stack, wait_until};
use plan::Weather;
use serde_json::Value;
use std::time::Duration;
use storm::Storm;
use trace::Trace;
use traffic::Traffic;

const WORKERS: usize = 4;
const ACCOUNTS: usize = 200;
/// For what only has to be true in the end, on however slow a machine.
const PATIENCE: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_minute_of_faults_loses_nothing_and_shares_no_key() {
    chaos(Weather {
        workers: WORKERS,
        length: 55.0,
        pause: 1.2..3.0,
        stop: 3.0..30.0,
        cut: 3.0..30.0,
        postgres_up: 32.0..42.0,
        postgres_down: 3.0..8.0,
        long_stop: None,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "takes CHAOS_MINUTES, ten by default: make chaos"]
async fn many_minutes_of_faults_lose_nothing_and_share_no_key() {
    chaos(Weather {
        workers: WORKERS,
        length: from_environment("CHAOS_MINUTES").unwrap_or(10.0) * 60.0,
        pause: 2.0..5.0,
        stop: 3.0..40.0,
        cut: 3.0..40.0,
        postgres_up: 50.0..130.0,
        postgres_down: 3.0..30.0,
        long_stop: Some(100.0),
    })
    .await;
}

fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
}

async fn chaos(weather: Weather) {
    let seed = from_environment("CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..));
    let trace = Trace::new(seed);
    let stack = Stack::start(Setup { workers: 0, own_cluster: true, ..Setup::default() }).await;
    let seeded = stack.seed_accounts(ACCOUNTS).await;
    let mut storm = Storm::gather(&stack, &trace, WORKERS).await;
    stack.wait_all_served(ACCOUNTS, PATIENCE).await;
    let people: Vec<Person> = seeded.into_iter().map(|(person, _)| person).collect();
    let mut traffic = Traffic::open(&stack, &trace, &people).await;

    trace.event("the storm begins");
    let length = Duration::from_secs_f64(weather.length);
    let deeds = plan::draw(seed, &weather);
    let everything = async {
        tokio::join!(storm.rage(&deeds), traffic.flow(seed, length));
        storm.end();
        trace.event("the storm is over");
        tokio::select! {
            () = storm.keep_running() => {}
            () = traffic.arrives() => {}
        }
        trace.event("everything has arrived");
        tokio::select! {
            () = storm.keep_running() => {}
            () = all_is_well(&stack) => {}
        }
        trace.event("all accounts are served");
        storm.assert_nothing_panicked();
    };
    tokio::select! {
        () = everything => {}
        () = watch(&stack, &trace) => {}
    }
    stack.assert_keys_were_never_shared().await;
}

/// Looks every second whether a key was shared, and notes how things stand; does not return.
async fn watch(stack: &Stack, trace: &Trace) {
    for second in 1.. {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let stats = stack.control("GET", "/stats", Value::Null).await;
        let database = tokio::time::timeout(Duration::from_secs(1), standing(stack)).await;
        let database = database.ok().and_then(Result::ok).unwrap_or_else(|| "no PostgreSQL".to_owned());
        let now = format!("{} connections, {} messages of bots; {database}", stats["connections"], stats["bot"]["sendMessage"]);
        trace.sample(&now);
        if second % 10 == 0 {
            trace.event(&now);
        }
        stack.assert_keys_were_never_shared().await;
    }
}

async fn standing(stack: &Stack) -> Result<String, sqlx::Error> {
    let (owners, in_force, owned, jobs): (i64, i64, i64, i64) = sqlx::query_as(
        "select count(distinct owner), count(*) filter (where owner is not null and renewed_at > now() - interval '5 s'), count(owner),
                (select count(*) from apalis.jobs where status in ('Pending', 'Running'))
           from personal_telegram_leases where class = 7101",
    )
    .fetch_one(stack.store().pool())
    .await?;
    Ok(format!("{owners} owners, {in_force} of {owned} leases in force, {jobs} jobs"))
}

/// In the end every account is active and connected, the workers share evenly, and nothing was given up on the way.
async fn all_is_well(stack: &Stack) {
    let pool = stack.store().pool();
    wait_until(PATIENCE, "even shares of connected accounts", async || {
        let shares = sqlx::query_scalar::<_, i64>(
            "select count(*) from personal_telegram_leases
              where class = 7101 and renewed_at > now() - interval '5 s' group by owner having owner is not null",
        );
        let even = shares.fetch_all(pool).await.ok()? == [(ACCOUNTS / WORKERS) as i64; WORKERS];
        (even && stack.connections().await == ACCOUNTS as i64).then_some(())
    })
    .await;
    for (what, sql) in [
        ("accounts in error", "select count(*) from personal_telegram_accounts where status <> 'active'"),
        ("messages given up", "select count(*) from personal_telegram_parts where state = 'failed'"),
    ] {
        assert_eq!(sqlx::query_scalar::<_, i64>(sql).fetch_one(pool).await.expect("a query"), 0, "{what}");
    }
}

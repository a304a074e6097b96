//! The product with many accounts, seen from outside: who owns them, who is connected, what the processes use.

use crate::measure::{Traffic, processor_time};
use crate::seeds;
use crate::support::{Process, Setup, Stack, wait_until};
use sqlx::AssertSqlSafe;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tuberry::embedded::Restart;

/// The longest wait for a division of the accounts.
const PATIENCE: Duration = Duration::from_secs(90);

pub struct Fleet {
    pub stack: Stack,
    /// Customer and account of every chat, by Telegram ids: each account has one customer.
    pub chats: Vec<(i64, i64)>,
}

impl Fleet {
    /// A product without accounts, and with that many workers.
    pub async fn start(workers: usize) -> Self {
        let setup = Setup { workers, updates: "webhook", own_cluster: true, durable: true, ..Setup::default() };
        Self { stack: Stack::start(setup).await, chats: Vec::new() }
    }

    /// The same on a PostgreSQL that counts statements, for [`Fleet::reset_statements`] and [`Fleet::statements`].
    pub async fn start_counting(workers: usize) -> Self {
        let mut fleet = Self::start(0).await;
        fleet.sql("alter system set shared_preload_libraries = 'pg_stat_statements'").await;
        fleet.stack.cluster().embedded.restart(Restart::Fast).await.expect("PostgreSQL restarts");
        wait_until(PATIENCE, "PostgreSQL", async || sqlx::query("select 1").execute(fleet.stack.store().pool()).await.ok()).await;
        fleet.sql("create extension pg_stat_statements").await;
        fleet.add_workers(workers).await;
        fleet
    }

    async fn sql(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(self.stack.store().pool()).await.expect("SQL");
    }

    pub async fn add_workers(&mut self, count: usize) {
        for _ in 0..count {
            self.stack.add_worker().await;
        }
    }

    /// Adds accounts until there are `size`, and waits until all are served.
    pub async fn grow(&mut self, size: usize) {
        let count = size - self.chats.len();
        let people = self.stack.seed_accounts(count).await;
        self.chats.extend(seeds::customers(&self.stack, count).into_iter().zip(people.into_iter().map(|(person, _)| person.0)));
        self.settle().await;
    }

    /// Waits until the workers share the accounts evenly and all are connected.
    pub async fn settle(&self) {
        let (accounts, workers) = (self.chats.len(), self.stack.workers.len());
        wait_until(PATIENCE, "accounts that are shared evenly", async || {
            let shares: Vec<usize> = self.owned().await.values().map(BTreeSet::len).collect();
            let even = shares.iter().max()? - shares.iter().min()? <= 1;
            let all = shares.len() == workers && shares.iter().sum::<usize>() == accounts;
            (even && all && self.connected(0).len() == accounts).then_some(())
        })
        .await;
    }

    /// Accounts (their Telegram ids) by the name of their owner.
    async fn owned(&self) -> BTreeMap<String, BTreeSet<i64>> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "select l.owner, a.telegram_user_id from personal_telegram_leases l join personal_telegram_accounts a on a.id = l.object
             where l.class = 7101 and l.owner is not null",
        )
        .fetch_all(self.stack.store().pool())
        .await
        .expect("leases");
        let mut owned = BTreeMap::<String, BTreeSet<i64>>::new();
        for (owner, account) in rows {
            owned.entry(owner).or_default().insert(account.parse().expect("an id"));
        }
        owned
    }

    /// Accounts of a worker.
    pub async fn owned_by(&self, worker: &Process) -> BTreeSet<i64> {
        let pid = format!("-{}-", worker.pid());
        self.owned().await.into_iter().find(|(owner, _)| owner.contains(&pid)).map(|(_, accounts)| accounts).expect("an owner")
    }

    /// Accounts with a connection that was opened after the first `mark` connections of the simulator.
    pub fn connected(&self, mark: u64) -> BTreeSet<i64> {
        let shared = self.stack.simulator.shared();
        let world = shared.lock();
        world.live.connections.range(mark + 1..).filter_map(|(_, connection)| world.key_user(connection.key)).collect()
    }

    /// How many connections the simulator has seen so far, for [`Fleet::connected`].
    pub fn mark(&self) -> u64 {
        self.stack.simulator.shared().lock().live.last_connection
    }

    /// Traffic in the chats of these accounts.
    pub fn traffic(&self, wanted: impl Fn(i64) -> bool) -> Traffic {
        let chats = self.chats.iter().copied().filter(|&(_, account)| wanted(account)).collect();
        Traffic::new(self.stack.simulator.shared(), chats)
    }

    /// Seconds of CPU that our processes have used.
    pub fn processor_time(&self) -> f64 {
        self.stack.apis.iter().chain(&self.stack.workers).map(|process| processor_time(process.pid())).sum()
    }

    /// Begins to count statements.
    pub async fn reset_statements(&self) {
        self.sql("select pg_stat_statements_reset()").await;
    }

    /// Statements since then: all, and those of ownership (leases and workers). With `BENCH_DEBUG` set, prints the most frequent ones.
    pub async fn statements(&self) -> (f64, f64) {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "select query, calls from pg_stat_statements where query not like '%pg_stat_statements%' order by calls desc",
        )
        .fetch_all(self.stack.store().pool())
        .await
        .expect("statements");
        if std::env::var_os("BENCH_DEBUG").is_some() {
            for (query, calls) in rows.iter().take(15) {
                eprintln!(
                    "    {calls:>6} {}",
                    query.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(150).collect::<String>()
                );
            }
        }
        let ownership = |query: &str| query.contains("personal_telegram_leases") || query.contains("personal_telegram_workers");
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        let count = |wanted: &dyn Fn(&str) -> bool| {
            rows.iter().filter(|(query, _)| wanted(query)).map(|(_, calls)| *calls).sum::<i64>() as f64
        };
        (count(&|_| true), count(&ownership))
    }
}

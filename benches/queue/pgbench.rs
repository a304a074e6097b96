//! The reference: what PostgreSQL itself does on the same cluster, driven by `pgbench` with prepared statements. Claims and completions run on a
//! table of the shape that jobs need (text ids, a kind, a payload, times, an owner; indexes for what is ready, running and finished), and for
//! comparison on the narrowest table that can be claimed from.

use sqlx::{AssertSqlSafe, PgPool};
use std::path::PathBuf;
use tokio::process::Command;

/// Claims 100 rows and completes them: the least that a queue in PostgreSQL has to do.
const PAIR: &str = r"with claimed as (
    update bench_jobs set status = 'Running', lock_by = 'pgbench', lock_at = now() where id = any (array(
        select id from bench_jobs where kind = 'noop' and status = 'Pending' order by run_at, id limit 100 for no key update skip locked))
    returning id, payload)
select array_agg(id)::text as ids from claimed \gset
update bench_jobs set status = 'Done', done_at = now(), attempts = attempts + 1 where id = any (:ids::text[]);
";
const NARROW_PAIR: &str = r"with claimed as (
    update bench_pairs set state = 'r' where id = any (array(
        select id from bench_pairs where state = 'p' order by id limit 100 for no key update skip locked))
    returning id)
select array_agg(id)::text as ids from claimed \gset
update bench_pairs set state = 'd' where id = any (:ids::bigint[]);
";
const INSERT: &str = "insert into bench_pairs (state, pad) values ('p', repeat('x', 100));\n";
const STATE: &str = r"\set row random(1, 1000)
begin;
update bench_states set n = n + 1 where id = :row;
insert into bench_pairs (state, pad) values ('p', repeat('x', 100));
commit;
";

pub struct Pgbench {
    program: PathBuf,
    url: String,
    pool: PgPool,
    folder: tempfile::TempDir,
}

impl Pgbench {
    pub async fn new(url: &str) -> Self {
        let pool = PgPool::connect(url).await.expect("PostgreSQL");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/postgres-bin.sh");
        let found = Command::new(script).output().await.expect("a shell");
        let bin = String::from_utf8(found.stdout).expect("a path");
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in [("pair", PAIR), ("narrow", NARROW_PAIR), ("insert", INSERT), ("state", STATE)] {
            std::fs::write(folder.path().join(name), text).expect("a script");
        }
        Self { program: PathBuf::from(bin.trim()).join("pgbench"), url: url.to_owned(), pool, folder }
    }

    async fn sql(&self, sql: impl Into<String>) {
        sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(&self.pool).await.expect("SQL");
    }

    async fn fresh(&self, pending: usize) {
        self.sql(format!(
            "drop table if exists bench_jobs, bench_pairs, bench_states;
             create table bench_jobs (id text primary key, kind text not null, payload bytea not null, status text not null default 'Pending',
                 attempts integer not null default 0, run_at timestamptz not null default now(), lock_by text, lock_at timestamptz,
                 done_at timestamptz);
             create index on bench_jobs (kind, run_at, id) where status = 'Pending';
             create index on bench_jobs (lock_by) where status = 'Running';
             create index on bench_jobs (done_at) where status = 'Done';
             insert into bench_jobs (id, kind, payload) select lpad(i::text, 26, '0'), 'noop', '{{\"n\":12345}}' from generate_series(1, {pending}) i;
             create table bench_pairs (id bigserial primary key, state text not null, pad text not null);
             create index on bench_pairs (id) where state = 'p';
             insert into bench_pairs (state, pad) select 'p', repeat('x', 100) from generate_series(1, {pending});
             create table bench_states (id integer primary key, n integer not null) with (fillfactor = 50);
             insert into bench_states select i, 0 from generate_series(1, 1000) i;"
        ))
        .await;
        self.sql("vacuum analyze bench_jobs, bench_pairs, bench_states").await;
    }

    /// Transactions a second.
    async fn run(&self, script: &str, clients: usize, transactions: usize) -> f64 {
        let path = self.folder.path().join(script);
        let each = (transactions / clients).to_string();
        let output = Command::new(&self.program)
            .args(["-n", "-M", "prepared", "-j", "2", "-c", &clients.to_string(), "-t", &each, "-f"])
            .arg(&path)
            .arg(&self.url)
            .output()
            .await
            .expect("pgbench");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let tps = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        tps.unwrap_or_else(|| panic!("pgbench said:\n{text}\n{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Jobs claimed and completed a second, 100 at a time.
    pub async fn pairs(&self, connections: usize) -> f64 {
        self.fresh(super::JOBS).await;
        self.run("pair", connections, super::JOBS / 100).await * 100.0
    }

    /// The same on the narrowest table.
    pub async fn narrow_pairs(&self, connections: usize) -> f64 {
        self.fresh(super::JOBS).await;
        self.run("narrow", connections, super::JOBS / 100).await * 100.0
    }

    /// Rows inserted a second.
    pub async fn inserts(&self, clients: usize, rows: usize) -> f64 {
        self.fresh(0).await;
        self.run("insert", clients, rows).await
    }

    /// Transactions a second that change a row and insert another.
    pub async fn states(&self, clients: usize, transactions: usize) -> f64 {
        self.fresh(0).await;
        self.run("state", clients, transactions).await
    }
}

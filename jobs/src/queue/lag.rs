//! How far the processes are behind, and a sign that something happened. Both cost a few index probes, however many jobs there are.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tuberry_storage::Result;

/// How long a kind's oldest job has been able to start without having been started.
#[derive(Clone, Debug)]
pub struct Lag {
    /// [`crate::Job::KIND`] as it stands in the rows.
    pub kind: String,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// Every kind that has ready jobs, the furthest behind first.
pub async fn lags(pool: &PgPool) -> Result<Vec<Lag>> {
    let lags = sqlx::query_as!(
        Lag,
        r#"select p.kind as "kind!", min(p.floor) as "since!" from queue.sweep() s, unnest(s.kinds, s.floors) as p(kind, floor)
            group by 1 order by 2, 1"#
    );
    Ok(lags.fetch_all(pool).await?)
}

/// A text that differs when any job of the cluster was enqueued, started, ended or touched by somebody.
pub async fn fingerprint(pool: &PgPool) -> Result<String> {
    let print = sqlx::query_scalar!(
        r#"select concat_ws(' ',
                  pg_sequence_last_value(pg_get_serial_sequence('apalis.jobs', 'seq')::regclass),
                  (select max(j.done_at) from apalis.jobs j where j.status = 'Done'),
                  (select max(j.done_at) from apalis.jobs j where j.status in ('Killed', 'Failed')),
                  (select count(*) from apalis.jobs j where j.status = 'Running'),
                  (select max(j.lock_at) from apalis.jobs j where j.status = 'Running'),
                  (select concat_ws(' ', sum(t.done), sum(t.retried), sum(t.snoozed), sum(t.dead), sum(t.lost)) from queue.throughput t
                    where t.minute > now() - interval '3 minutes'),
                  (select max(a.id) from queue.audit a)) as "print!""#
    );
    Ok(print.fetch_one(pool).await?)
}

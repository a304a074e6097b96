//! What must not slow the queue down: rows that lie there, keys that wait, heads that snooze, snapshots that somebody holds.

use crate::JOBS;
use crate::measure::percentile;
use crate::ours::Ours;
use crate::report::Report;

/// Puts `count` finished jobs into the table.
pub async fn done_rows(ours: &Ours, count: usize) {
    ours.sql(format!(
        "insert into apalis.jobs (id, job_type, job, status, attempts, run_at, done_at, lock_by, lock_at, metadata, last_result)
         select 'DONE' || lpad(i::text, 22, '0'), 'bench-noop', '{{\"n\":1}}', 'Done', 1, now() - interval '1 day', now() - interval '1 day',
                'gone/bench-noop', now() - interval '1 day', '', '{{\"Ok\":null}}'
           from generate_series(1, {count}) i"
    ))
    .await;
    ours.sql("vacuum analyze apalis.jobs").await;
}

/// Jobs of the bench's kind, `each` to one of `keys` keys. The heads are snoozed for an hour, or ready in a lane that nobody owns.
async fn waiting(ours: &Ours, keys: usize, each: usize, snoozed: bool) {
    let (head, lane) = if snoozed { ("2", "") } else { ("0", "999999") };
    ours.sql(format!(
        "insert into apalis.jobs (id, job_type, job, status, run_at, metadata, ordering_key, lane, gate)
         select 'WAIT' || lpad(i::text, 22, '0'), 'bench-noop', '{{\"n\":1}}', 'Pending', now() + interval '1 hour' * (({head} = 2)::integer), '',
                'waiting:' || i % {keys}, '{lane}', case when i < {keys} then {head} else 1 end
           from generate_series(0, {total}) i",
        total = keys * each - 1
    ))
    .await;
    ours.sql("vacuum analyze apalis.jobs").await;
}

pub async fn run(ours: &Ours, report: &mut Report) {
    ours.clear().await;
    let plain = percentile(&[ours.drain(None).await, ours.drain(None).await, ours.drain(None).await], 0.5);

    ours.clear().await;
    waiting(ours, 10_000, 10, false).await;
    report.other("drain beside 100 k jobs that wait over 10 k keys (without them)", ours.drain(None).await, Some(plain));

    ours.clear().await;
    waiting(ours, 10_000, 10, true).await;
    report.other("drain beside 90 k jobs behind 10 k snoozed heads (without them)", ours.drain(None).await, Some(plain));

    ours.clear().await;
    let ordered = ours.drain_besides(Some(10_000), JOBS * 5).await;
    report.other("drain 100 k jobs over 10 k keys (20 k unordered)", ordered, Some(plain));

    ours.clear().await;
    let mut holder = ours.pool.begin().await.expect("a transaction");
    sqlx::raw_sql("set transaction isolation level repeatable read; select 1").execute(&mut *holder).await.expect("a snapshot");
    for (round, time) in ["first", "second", "third"].into_iter().enumerate() {
        let drain = ours.drain(None).await;
        report.other(format!("drain while a snapshot is held, {time} 20 k (without it)"), drain, Some(plain));
        if round == 2 {
            let ordered = ours.drain(Some(200)).await;
            report.other("then 20 k over 200 ordered keys (unordered, without a snapshot)", ordered, Some(plain));
        }
    }
    holder.rollback().await.expect("an end");
    ours.clear().await;
}

//! Every statement of the queue: thin calls of the functions in schema `queue` (migration 0002), typed at this border.

use super::enqueue::Rows;
use crate::job::{Policy, When};
use sqlx::PgConnection;

/// Runs `queue.enqueue`: how many rows were new, and the wake-ups to send after the commit.
pub(super) async fn enqueue(
    connection: &mut PgConnection,
    kind: &str,
    policy: &Policy,
    rows: &Rows,
    when: When,
) -> sqlx::Result<(u64, Vec<String>)> {
    let (delay, at) = match when {
        When::Now => (None, None),
        When::In(delay) => (Some(delay.as_secs_f64()), None),
        When::At(at) => (None, Some(at)),
    };
    let (inserted, wake_ups): (i64, Vec<String>) =
        sqlx::query_as("select inserted, wake_ups from queue.enqueue($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)")
            .bind(kind)
            .bind(&rows.ids)
            .bind(&rows.payloads)
            .bind(&rows.ordering_keys)
            .bind(&rows.lanes)
            .bind(&rows.unique_scopes)
            .bind(&rows.unique_keys)
            .bind(delay)
            .bind(at)
            .bind(policy.max_attempts.map_or(i32::MAX, |n| i32::try_from(n).unwrap_or(i32::MAX)))
            .bind(i32::try_from(policy.lost_leases).unwrap_or(i32::MAX))
            .bind(policy.deadline.map(|deadline| deadline.as_secs_f64()))
            .fetch_one(connection)
            .await?;
    Ok((inserted.unsigned_abs(), wake_ups))
}

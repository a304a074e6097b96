//! How many jobs are where in the whole cluster, for Prometheus. Counting reads every live job, so one process does it for all, and the more it
//! costs, the less often: never more than a fiftieth of one of PostgreSQL's processes.

use super::pages::KindCounts;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use std::time::Duration;
use tuberry_storage::{Error, Result, reading};

/// A count that took so long is followed by a rest so many times as long.
const REST: f64 = 50.0;

/// What a count is taken for that had to be given up ([`reading`] gives it 5 s).
const GIVEN_UP: f64 = 5.0;

/// A count.
#[derive(Clone, Debug)]
pub struct Census {
    /// When it was made.
    pub counted_at: DateTime<Utc>,
    /// Every kind that had live or dead jobs then.
    pub kinds: Vec<KindCounts>,
}

/// Counts, unless the last count is too fresh or was too dear. True: counted. `lease`: how long a silent process counts as living.
pub async fn take(pool: &PgPool, lease: Duration) -> Result<bool> {
    let rests = sqlx::query_scalar!(
        r#"select exists (select from queue.census where counted_at > now() - make_interval(secs => took * $1::float8)) as "rests!""#,
        REST
    );
    if rests.fetch_one(pool).await? {
        return Ok(false);
    }
    let mut tx = reading(pool).await?;
    let counted = sqlx::query!(
        "insert into queue.census as c (counted_at, took, kinds)
         select clock_timestamp(), extract(epoch from clock_timestamp() - statement_timestamp())::float8, coalesce(jsonb_agg(to_jsonb(k)), '[]')
           from queue.counts(null, $1) k
         on conflict (single) do update set counted_at = excluded.counted_at, took = excluded.took, kinds = excluded.kinds",
        lease.as_secs_f64()
    )
    .execute(&mut *tx)
    .await;
    match counted {
        Ok(_) => {
            tx.commit().await?;
            Ok(true)
        }
        Err(error) => {
            drop(tx);
            sqlx::query!("update queue.census set took = $1", GIVEN_UP).execute(pool).await?;
            Err(error.into())
        }
    }
}

/// The last count. `None`: nobody has counted yet.
pub async fn last(pool: &PgPool) -> Result<Option<Census>> {
    let Some(row) = sqlx::query!("select counted_at, kinds from queue.census").fetch_optional(pool).await? else {
        return Ok(None);
    };
    let kinds = serde_json::from_value(row.kinds).map_err(|error| Error::Unreadable(format!("queue.census: {error}")))?;
    Ok(Some(Census { counted_at: row.counted_at, kinds }))
}

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

/// Counts, unless the last count was too dear, or was given up, not long ago. True: counted. `lease`: how long a silent process counts as living.
pub async fn take(pool: &PgPool, lease: Duration) -> Result<bool> {
    let rests = sqlx::query_scalar!(r#"select exists (select from queue.census where rests_until > now()) as "rests!""#);
    if rests.fetch_one(pool).await? {
        return Ok(false);
    }
    let mut tx = reading(pool).await?;
    let counted = sqlx::query!(
        "insert into queue.census as c (counted_at, took, kinds, rests_until)
         select clock_timestamp(), extract(epoch from clock_timestamp() - statement_timestamp())::float8, coalesce(jsonb_agg(to_jsonb(k)), '[]'),
                clock_timestamp() + $2::float8 * (clock_timestamp() - statement_timestamp())
           from queue.counts(null, $1) k
         on conflict (single) do update
            set counted_at = excluded.counted_at, took = excluded.took, kinds = excluded.kinds, rests_until = excluded.rests_until",
        lease.as_secs_f64(),
        REST
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
            rest(pool).await?;
            Err(error.into())
        }
    }
}

/// A count was given up: the numbers of the one before it stay, if there was one.
async fn rest(pool: &PgPool) -> Result<()> {
    sqlx::query!(
        "insert into queue.census as c (took, kinds, rests_until) values ($1, '[]', now() + make_interval(secs => $1::float8 * $2::float8))
         on conflict (single) do update set took = excluded.took, rests_until = excluded.rests_until",
        GIVEN_UP,
        REST
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// The last count. `None`: nobody has counted yet.
pub async fn last(pool: &PgPool) -> Result<Option<Census>> {
    let last = sqlx::query!(r#"select counted_at as "counted_at!", kinds from queue.census where counted_at is not null"#);
    let Some(row) = last.fetch_optional(pool).await? else {
        return Ok(None);
    };
    let kinds = serde_json::from_value(row.kinds).map_err(|error| Error::Unreadable(format!("queue.census: {error}")))?;
    Ok(Some(Census { counted_at: row.counted_at, kinds }))
}

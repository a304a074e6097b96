//! Workers that share the accounts, what there is to share, and the signal that something changed.

use crate::{Result, Store};
use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use sqlx::postgres::PgListener;
use std::time::Duration;
use tuberry_domain::AccountId;
use tuberry_domain::account::Accepts;
use tuberry_domain::ports::KeyClass;

/// Channel on which workers hear that accounts or leases changed. Payloads are hints for people; every one means «look again».
pub const FLEET_CHANNEL: &str = "tuberry_fleet";

/// A worker as the others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Unique per process start.
    pub name: String,
    /// How many accounts it takes at most.
    pub capacity: u32,
    /// How large an even share is for it, in proportion to the others; from 1 on.
    pub weight: u32,
    /// When it was first heard of, by PostgreSQL's clock.
    pub started_at: DateTime<Utc>,
}

/// An account that is to be served: active, with a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The account.
    pub account: AccountId,
    /// Which chats it mirrors.
    pub accepts: Accepts,
    /// Changes when the account logs in anew.
    pub session_from: DateTime<Utc>,
    /// Who holds its lease.
    pub owner: Option<String>,
    /// The lease has not been renewed lately: the owner is dead, stopped, or cut off.
    pub silent: bool,
}

/// Workers seen within `silent`, by name.
pub async fn list(store: &Store, silent: Duration) -> Result<Vec<Worker>> {
    let rows = sqlx::query!(
        "select name, capacity, weight, started_at from personal_telegram_workers where seen_at > now() - make_interval(secs => $1) order by name",
        silent.as_secs_f64()
    )
    .fetch_all(store.pool())
    .await?;
    let workers = rows.into_iter().map(|row| Worker {
        name: row.name,
        capacity: row.capacity.try_into().unwrap_or(0),
        weight: row.weight.try_into().unwrap_or(1),
        started_at: row.started_at,
    });
    Ok(workers.collect())
}

/// Every account to be served, by id, with the state of its lease.
pub async fn served(store: &Store, silent: Duration) -> Result<Vec<Served>> {
    let rows = sqlx::query!(
        r#"select a.id, a.accepts_private, a.accepts_groups, a.accepts_channels, s.created_at as session_from,
             l.owner as "owner?", coalesce(l.renewed_at < now() - make_interval(secs => $2), true) as "silent!"
           from personal_telegram_accounts a
           join personal_telegram_sessions s on s.account_id = a.id
           left join personal_telegram_leases l on l.class = $1 and l.object = a.id
           where a.status = 'active'
           order by a.id"#,
        KeyClass::Account as i32,
        silent.as_secs_f64()
    )
    .fetch_all(store.pool())
    .await?;
    let served = rows.into_iter().map(|row| Served {
        account: AccountId(row.id),
        accepts: Accepts { private: row.accepts_private, groups: row.accepts_groups, channels: row.accepts_channels },
        session_from: row.session_from,
        owner: row.owner,
        silent: row.silent,
    });
    Ok(served.collect())
}

/// Takes a worker that leaves off the list: the others divide its accounts among themselves.
pub async fn leave(executor: impl PgExecutor<'_>, name: &str) -> Result<()> {
    sqlx::query!("delete from personal_telegram_workers where name = $1", name).execute(executor).await?;
    Ok(())
}

/// Deletes workers that have been silent for longer than `age`. Returns how many.
pub async fn forget_silent(store: &Store, age: Duration) -> Result<u64> {
    let done = sqlx::query!(
        "delete from personal_telegram_workers where seen_at < now() - make_interval(secs => $1)",
        age.as_secs_f64()
    )
    .execute(store.pool())
    .await?;
    Ok(done.rows_affected())
}

/// Tells the workers to look again. Call it after the commit that changed something: a NOTIFY inside would serialise commits. A
/// lost one costs a second, until the next look.
pub async fn announce(executor: impl PgExecutor<'_>, what: &str) {
    if let Err(error) = sqlx::query!("select pg_notify($1, $2)", FLEET_CHANNEL, what).execute(executor).await {
        tracing::debug!(%error, "fleet signal not sent");
    }
}

/// A connection of its own that hears [`announce`]. `url` must be direct, not through a transaction pooler.
pub async fn listen(url: &str) -> Result<PgListener> {
    let mut listener = PgListener::connect(url).await?;
    listener.listen(FLEET_CHANNEL).await?;
    Ok(listener)
}

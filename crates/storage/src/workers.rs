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

/// A worker or a lease that was not renewed for so long counts as silent: others try to take over.
pub const SILENT: Duration = Duration::from_secs(6);

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
    /// It came to its owner because another worker left or died.
    pub guest: bool,
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
             l.owner as "owner?", coalesce(l.renewed_at < now() - make_interval(secs => $2), true) as "silent!",
             coalesce(l.guest, false) as "guest!"
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
        guest: row.guest,
    });
    Ok(served.collect())
}

/// How the accounts of the whole cluster stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overview {
    /// Workers heard of lately.
    pub workers: i64,
    /// How many accounts they take together.
    pub capacity: i64,
    /// Accounts to be served.
    pub accounts: i64,
    /// Those of them whose lease nobody renews.
    pub unserved: i64,
}

impl Overview {
    /// Accounts for which no worker has room.
    pub fn without_room(&self) -> i64 {
        (self.accounts - self.capacity).max(0)
    }
}

/// Looks at the cluster. `silent`: from when on a worker and a lease count as silent.
pub async fn overview(store: &Store, silent: Duration) -> Result<Overview> {
    let row = sqlx::query!(
        r#"select (select count(*) from personal_telegram_workers where seen_at > now() - make_interval(secs => $2)) as "workers!",
             (select coalesce(sum(capacity::bigint), 0)::bigint from personal_telegram_workers where seen_at > now() - make_interval(secs => $2)) as "capacity!",
             count(*) as "accounts!",
             count(*) filter (where l.owner is null or l.renewed_at < now() - make_interval(secs => $2)) as "unserved!"
           from personal_telegram_accounts a
           join personal_telegram_sessions s on s.account_id = a.id
           left join personal_telegram_leases l on l.class = $1 and l.object = a.id
           where a.status = 'active'"#,
        KeyClass::Account as i32,
        silent.as_secs_f64()
    )
    .fetch_one(store.pool())
    .await?;
    Ok(Overview { workers: row.workers, capacity: row.capacity, accounts: row.accounts, unserved: row.unserved })
}

/// Writes `text` where an account's owner sees it, at accounts that have found no worker for `patience`, while there is room for fewer than there
/// are. The first proof of life takes it away. Returns how many accounts.
pub async fn tell_without_room(store: &Store, silent: Duration, patience: Duration, text: &str) -> Result<u64> {
    if overview(store, silent).await?.without_room() == 0 {
        return Ok(0);
    }
    let done = sqlx::query!(
        "update personal_telegram_accounts a set last_error = $3
           from personal_telegram_sessions s left join personal_telegram_leases l on l.class = $1 and l.object = s.account_id
          where s.account_id = a.id and a.status = 'active' and a.last_error is distinct from $3
            and greatest(s.created_at, l.renewed_at) < now() - make_interval(secs => $2)",
        KeyClass::Account as i32,
        patience.as_secs_f64(),
        text
    )
    .execute(store.pool())
    .await?;
    Ok(done.rows_affected())
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

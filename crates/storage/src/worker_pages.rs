//! Workers and the accounts that nobody serves, as the platform's administrator sees them.

use crate::{Result, Store};
use chrono::{DateTime, Utc};
use std::time::Duration;
use tuberry_domain::AccountId;
use tuberry_domain::ports::KeyClass;

/// A worker that has not been forgotten yet.
#[derive(Clone, Debug)]
pub struct WorkerCard {
    /// Unique per process start.
    pub name: String,
    /// The machine.
    pub host: String,
    /// The process there.
    pub pid: i32,
    /// How many accounts it takes at most.
    pub capacity: i32,
    /// Its share in proportion to the others'.
    pub weight: i32,
    /// How many accounts it owns.
    pub owns: i64,
    /// When it was first heard of.
    pub started_at: DateTime<Utc>,
    /// When it was last heard of.
    pub seen_at: DateTime<Utc>,
    /// That was too long ago.
    pub silent: bool,
}

/// All workers, by name. `silent`: from when on one counts as silent.
pub async fn roster(store: &Store, silent: Duration) -> Result<Vec<WorkerCard>> {
    let workers = sqlx::query_as!(
        WorkerCard,
        r#"select w.name, w.host, w.pid, w.capacity, w.weight, w.started_at, w.seen_at,
                  w.seen_at < now() - make_interval(secs => $2) as "silent!",
                  (select count(*) from personal_telegram_leases l where l.owner = w.name and l.class = $1) as "owns!"
             from personal_telegram_workers w order by w.name limit 1000"#,
        KeyClass::Account as i32,
        silent.as_secs_f64()
    );
    Ok(workers.fetch_all(store.pool()).await?)
}

/// An account that is to be served, and that no living worker serves.
#[derive(Clone, Debug)]
pub struct Unserved {
    /// The account.
    pub account: AccountId,
    /// What it is called.
    pub name: String,
    /// Its tenant.
    pub client: String,
    /// The silent worker that holds its lease; `None`: nobody does.
    pub owner: Option<String>,
    /// Last sign of an owner, or its login.
    pub since: DateTime<Utc>,
}

/// Accounts whose lease is silent or without an owner, the longest waiting first, at most `limit`.
pub async fn unserved(store: &Store, silent: Duration, limit: i64) -> Result<Vec<Unserved>> {
    let rows = sqlx::query!(
        r#"select a.id, coalesce(a.display_name, '@' || a.username, a.phone, a.id::text) as "name!", c.name as client, l.owner as "owner?",
                  greatest(s.created_at, l.renewed_at) as "since!"
             from personal_telegram_accounts a
             join personal_telegram_sessions s on s.account_id = a.id
             join clients c on c.id = a.client_id
             left join personal_telegram_leases l on l.class = $1 and l.object = a.id
            where a.status = 'active' and (l.owner is null or l.renewed_at < now() - make_interval(secs => $2))
            order by 5, a.id limit $3"#,
        KeyClass::Account as i32,
        silent.as_secs_f64(),
        limit
    );
    let unserved = rows.fetch_all(store.pool()).await?.into_iter().map(|row| Unserved {
        account: AccountId(row.id),
        name: row.name,
        client: row.client,
        owner: row.owner,
        since: row.since,
    });
    Ok(unserved.collect())
}

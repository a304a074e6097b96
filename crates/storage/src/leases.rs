//! Leases and advisory locks on authorization keys: who may use which, and the fence that every owner's write passes.
//!
//! Lock modes matter here. A write on the strength of a lease holds its row `for key share` until it commits ([`check`]); a renewal
//! is a plain update (`for no key update`), so that the two never wait for each other; a taker takes the row `for update skip locked`,
//! and therefore gets it only when the old owner's last write has ended. Nothing here waits for a row.

use crate::{Result, Store, Tx};
use sqlx::PgConnection;
use std::collections::HashSet;
use std::time::Duration;
use tuberry_domain::ports::{KeyClass, Lease};

/// A lease as a taker finds it. Ages are by PostgreSQL's clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The object's id.
    pub object: i32,
    /// Who has it; `None`: given back, or never taken.
    pub owner: Option<String>,
    /// Of the row as found; 0 where there is none yet.
    pub epoch: i64,
    /// Time since the last renewal.
    pub age: Duration,
    /// Time since the owner's last heartbeat; `None` where the owner is not in the list of workers.
    pub owner_silent: Option<Duration>,
    /// Somebody found the lock free while the lease was young.
    pub orphaned: bool,
    /// PostgreSQL has kept its locks since before the last renewal.
    pub locks_kept: bool,
    /// Given back by an owner whose close Telegram may not have heard: how long the key rests yet.
    pub rest: Duration,
}

fn seconds(value: f64) -> Duration {
    Duration::from_secs_f64(value.clamp(0.0, 1e9))
}

/// Prepares a connection for holding locks: named, never waiting long, noticed soon when its host is gone. `tag` is unique per process
/// start and at most 63 bytes. Returns `pg_backend_pid()`.
pub async fn open_session(conn: &mut PgConnection, tag: &str) -> Result<i32> {
    let row = sqlx::query!(
        r#"select pg_backend_pid() as "pid!",
             set_config('application_name', $1, false) as tag,
             set_config('lock_timeout', '1500', false) as lock_timeout,
             set_config('statement_timeout', '4000', false) as statement_timeout,
             set_config('idle_session_timeout', '0', false) as idle_timeout,
             set_config('tcp_keepalives_idle', '10', false) as keepalive,
             set_config('tcp_keepalives_interval', '5', false) as keepalive_interval,
             set_config('tcp_keepalives_count', '3', false) as keepalive_count,
             set_config('tcp_user_timeout', '25000', false) as user_timeout"#,
        tag
    )
    .fetch_one(conn)
    .await?;
    Ok(row.pid)
}

/// Ends the session `pid` where it is still the one that [`open_session`] named `tag`.
pub async fn end_session(conn: &mut PgConnection, pid: i32, tag: &str) -> Result<()> {
    sqlx::query!(
        "select pg_terminate_backend(pid) from pg_stat_activity where pid = $1 and application_name = $2 and pid <> pg_backend_pid()",
        pid,
        tag
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// Ends the session that holds the lock of one of these objects, provided that it is the session named `tag` and not another taker's, and that
/// the object's lease is still `tag`'s and older than `age`: an owner that came back after it was found silent must keep its locks, whose loss
/// would look like its death. True when there was one.
pub async fn end_holder(conn: &mut PgConnection, class: KeyClass, objects: &[i32], tag: &str, age: Duration) -> Result<bool> {
    let ended = sqlx::query!(
        r#"select pg_terminate_backend(pid) as "ended!" from (select distinct a.pid
           from personal_telegram_leases k
           join pg_locks l on l.classid::bigint = k.class and l.objid::bigint = k.object
           join pg_stat_activity a on a.pid = l.pid
           where k.class = $1 and k.object = any($2) and k.owner = $3 and k.renewed_at < clock_timestamp() - make_interval(secs => $4)
             and l.locktype = 'advisory' and l.granted and l.objsubid = 2
             and l.database = (select oid from pg_database where datname = current_database())
             and a.application_name = $3 and a.pid <> pg_backend_pid()) holder"#,
        class as i32,
        objects,
        tag,
        age.as_secs_f64()
    )
    .fetch_all(conn)
    .await?;
    Ok(ended.iter().any(|row| row.ended))
}

/// Tries the advisory locks of several objects of one class; returns those that this session now holds. Do not ask for one that it
/// holds already: PostgreSQL counts.
pub async fn try_lock(conn: &mut PgConnection, class: KeyClass, objects: &[i32]) -> Result<Vec<i32>> {
    if objects.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"select object as "object!", pg_try_advisory_lock($1, object) as "locked!" from unnest($2::int[]) as object"#,
        class as i32,
        objects
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().filter(|row| row.locked).map(|row| row.object).collect())
}

/// Gives advisory locks of this session up.
pub async fn unlock(conn: &mut PgConnection, class: KeyClass, objects: &[i32]) -> Result<()> {
    if !objects.is_empty() {
        sqlx::query!("select pg_advisory_unlock($1, object) from unnest($2::int[]) as object", class as i32, objects)
            .fetch_all(conn)
            .await?;
    }
    Ok(())
}

/// What stands in the rows of these objects, in any order; objects without a row are given back at epoch 0.
///
/// `locks_kept` looks at the start of the postmaster and, where our role may see it, of the checkpointer, which is newer after a
/// crash of a single backend: that, too, loses all locks.
pub async fn find(conn: &mut PgConnection, class: KeyClass, objects: &[i32]) -> Result<Vec<Found>> {
    if objects.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"with up as (
             select greatest(pg_postmaster_start_time(),
               (select max(backend_start) from pg_stat_activity where backend_type = 'checkpointer')) as since)
           select wanted.object as "object!", l.owner as "owner?", coalesce(l.epoch, 0) as "epoch!",
             coalesce(extract(epoch from clock_timestamp() - l.renewed_at), 0)::float8 as "age!",
             extract(epoch from clock_timestamp() - w.seen_at)::float8 as owner_silent,
             coalesce(l.orphaned, false) as "orphaned!",
             coalesce(up.since < l.renewed_at, true) as "locks_kept!",
             coalesce(extract(epoch from l.rests_until - clock_timestamp()), 0)::float8 as "rest!"
           from unnest($2::int[]) as wanted(object)
           cross join up
           left join personal_telegram_leases l on l.class = $1 and l.object = wanted.object
           left join personal_telegram_workers w on w.name = l.owner"#,
        class as i32,
        objects
    )
    .fetch_all(conn)
    .await?;
    let found = rows.into_iter().map(|row| Found {
        object: row.object,
        owner: row.owner,
        epoch: row.epoch,
        age: seconds(row.age),
        owner_silent: row.owner_silent.map(seconds),
        orphaned: row.orphaned,
        locks_kept: row.locks_kept,
        rest: seconds(row.rest),
    });
    Ok(found.collect())
}

/// Notes that the lock of these leases was found free while they were young; the caller holds the locks. Rows that changed since
/// they were found, or grew old, are left alone.
pub async fn mark_orphaned(conn: &mut PgConnection, class: KeyClass, found: &[(i32, i64)], young: Duration) -> Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    let (objects, epochs): (Vec<i32>, Vec<i64>) = found.iter().copied().unzip();
    sqlx::query!(
        "update personal_telegram_leases l set orphaned = true
         from unnest($2::int[], $3::bigint[]) as f(object, epoch)
         where l.class = $1 and l.object = f.object and l.epoch = f.epoch and l.owner is not null
           and l.renewed_at > clock_timestamp() - make_interval(secs => $4)",
        class as i32,
        &objects,
        &epochs,
        young.as_secs_f64()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes a new owner into leases as they were found (object and epoch); the caller holds their locks. Returns the new epochs of those that
/// were still so, not renewed within `silent` by the owner they had, and not held by one of that owner's writes.
pub async fn take(
    conn: &mut PgConnection,
    class: KeyClass,
    found: &[(i32, i64)],
    owner: &str,
    silent: Duration,
) -> Result<Vec<Lease>> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let (objects, epochs): (Vec<i32>, Vec<i64>) = found.iter().copied().unzip();
    let rows = sqlx::query!(
        r#"with wanted as (select * from unnest($2::int[], $3::bigint[]) as f(object, epoch)),
           present as (
             select l.object from personal_telegram_leases l join wanted f on f.object = l.object and f.epoch = l.epoch
             where l.class = $1 and (l.owner is null or l.owner = $4 or l.renewed_at < clock_timestamp() - make_interval(secs => $5))
             for update of l skip locked),
           changed as (
             update personal_telegram_leases l
             set guest = case when l.owner is null or l.owner = $4 then l.guest else true end, owner = $4, epoch = l.epoch + 1, renewed_at = clock_timestamp(), orphaned = false, rests_until = null
             from present p where l.class = $1 and l.object = p.object
             returning l.object, l.epoch),
           added as (
             insert into personal_telegram_leases (class, object, owner, epoch)
             select $1, f.object, $4, 1 from wanted f where f.epoch = 0
             on conflict do nothing
             returning object, epoch)
           select object as "object!", epoch as "epoch!" from changed union all select object, epoch from added"#,
        class as i32,
        &objects,
        &epochs,
        owner,
        silent.as_secs_f64()
    )
    .fetch_all(conn)
    .await?;
    let leases = rows.into_iter().map(|row| Lease { class, object: row.object, owner: owner.to_owned(), epoch: row.epoch });
    Ok(leases.collect())
}

/// Gives leases back: the next taker may connect at once, or when the rest is over. Their connections must be closed by now. `leaves`: because
/// the owner leaves; whoever takes them holds them as guests.
pub async fn give_back(conn: &mut PgConnection, leases: &[(Lease, Duration)], leaves: bool) -> Result<()> {
    if leases.is_empty() {
        return Ok(());
    }
    let (classes, objects): (Vec<i32>, Vec<i32>) = leases.iter().map(|(lease, _)| (lease.class as i32, lease.object)).unzip();
    let (epochs, owners): (Vec<i64>, Vec<String>) = leases.iter().map(|(lease, _)| (lease.epoch, lease.owner.clone())).unzip();
    let rests: Vec<f64> = leases.iter().map(|(_, rest)| rest.as_secs_f64()).collect();
    sqlx::query!(
        "update personal_telegram_leases l set owner = null, orphaned = false, renewed_at = clock_timestamp(),
                guest = $6, rests_until = case when m.rest > 0 then clock_timestamp() + make_interval(secs => m.rest) end
         from unnest($1::int[], $2::int[], $3::bigint[], $4::text[], $5::float8[]) as m(class, object, epoch, owner, rest)
         where l.class = m.class and l.object = m.object and l.epoch = m.epoch and l.owner = m.owner",
        &classes,
        &objects,
        &epochs,
        &owners,
        &rests,
        leaves
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A lease that its process counts as its own, for [`renew`].
#[derive(Clone, Debug)]
pub struct Own {
    /// The lease.
    pub lease: Lease,
    /// This session holds its lock: only then it may be renewed.
    pub locked: bool,
}

/// How much a process takes on as a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// How many accounts at most.
    pub capacity: u32,
    /// Its share in proportion to the others', from 1 to 1000.
    pub weight: u32,
}

/// The one periodic statement of a process: its heartbeat as a worker (unless `room` is `None`: it does not serve accounts, or
/// leaves) and the renewal of its leases. Rows that bear its name but are not in the list belong to nobody and are given back.
/// Returns the leases that were renewed: a locked one that is missing was taken over.
pub async fn renew(conn: &mut PgConnection, owner: &str, host: &str, room: Option<Room>, own: &[Own]) -> Result<Vec<Lease>> {
    let (classes, objects): (Vec<i32>, Vec<i32>) = own.iter().map(|own| (own.lease.class as i32, own.lease.object)).unzip();
    let (epochs, locked): (Vec<i64>, Vec<bool>) = own.iter().map(|own| (own.lease.epoch, own.locked)).unzip();
    let rows = sqlx::query!(
        r#"with mine as (select * from unnest($5::int[], $6::int[], $7::bigint[], $8::bool[]) as m(class, object, epoch, locked)),
           heartbeat as (
             insert into personal_telegram_workers (name, host, pid, capacity, weight) select $1, $2, $3, $4::int, $9 where $4::int is not null
             on conflict (name) do update set seen_at = clock_timestamp(), capacity = excluded.capacity, weight = excluded.weight),
           renewed as (
             update personal_telegram_leases l
             set renewed_at = clock_timestamp(), orphaned = false, owner = case when m.epoch = k.epoch then k.owner end
             from personal_telegram_leases k left join mine m on m.class = k.class and m.object = k.object
             where k.owner = $1 and l.class = k.class and l.object = k.object and l.owner = $1 and m.locked is distinct from false
             returning l.class, l.object, l.epoch, l.owner)
           select class as "class!", object as "object!", epoch as "epoch!" from renewed where owner is not null"#,
        owner,
        host,
        i32::try_from(std::process::id()).unwrap_or_default(),
        room.map(|room| i32::try_from(room.capacity).unwrap_or(i32::MAX)),
        &classes,
        &objects,
        &epochs,
        &locked,
        room.map_or(1, |room| i32::try_from(room.weight.clamp(1, 1000)).unwrap_or(1))
    )
    .fetch_all(conn)
    .await?;
    let renewed: HashSet<_> = rows.into_iter().map(|row| (row.class, row.object, row.epoch)).collect();
    let in_force = |lease: &&Lease| renewed.contains(&(lease.class as i32, lease.object, lease.epoch));
    Ok(own.iter().map(|own| &own.lease).filter(in_force).cloned().collect())
}

/// The fence: succeeds while `lease` is the one in force, and keeps it in force until this transaction ends.
pub async fn check(tx: &mut Tx, lease: &Lease) -> Result<()> {
    sqlx::query!(
        r#"select epoch from personal_telegram_leases
           where class = $1 and object = $2 and owner = $3 and epoch = $4 for key share"#,
        lease.class as i32,
        lease.object,
        lease.owner,
        lease.epoch
    )
    .fetch_optional(tx.conn())
    .await?
    .map(|_| ())
    .ok_or(crate::Error::Fenced)
}

/// Deletes leases that were given back longer than `age` ago and will not be wanted again: of all but accounts that exist. Returns how many.
pub async fn forget_finished(store: &Store, age: Duration) -> Result<u64> {
    let done = sqlx::query!(
        "delete from personal_telegram_leases
         where owner is null and renewed_at < now() - make_interval(secs => $2)
           and not (class = $1 and exists (select from personal_telegram_accounts a where a.id = object))",
        KeyClass::Account as i32,
        age.as_secs_f64()
    )
    .execute(store.pool())
    .await?;
    Ok(done.rows_affected())
}

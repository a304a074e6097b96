//! Facts that `tuberry doctor` asks the database for.

use crate::{Result, Store};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tuberry_domain::ports::BotToken;
use tuberry_domain::{AccountId, BotId, Secret};

/// Most bots that are looked at.
pub const MOST_BOTS: i64 = 100;

/// A server and what holds for a connection to it.
#[derive(Clone, Debug)]
pub struct Server {
    /// `server_version_num`.
    pub version: i32,
    /// A standby: it takes no writes.
    pub standby: bool,
    /// Of the database.
    pub encoding: String,
    /// The database's name.
    pub database: String,
    /// When the server was started: the same for all ways to one server.
    pub started_at: DateTime<Utc>,
    /// `TimeZone`.
    pub time_zone: String,
    /// `idle_in_transaction_session_timeout`.
    pub idle_in_transaction: String,
    /// Its clock.
    pub now: DateTime<Utc>,
    /// The role may see when others' backends began and what they do.
    pub reads_statistics: bool,
}

/// Asks the server behind a connection. Unprepared, because a pooler may not keep statements.
pub async fn server(conn: &mut PgConnection) -> Result<Server> {
    type Row = (i32, bool, String, String, DateTime<Utc>, String, String, DateTime<Utc>, bool);
    let (version, standby, encoding, database, started_at, time_zone, idle_in_transaction, now, reads_statistics): Row =
        sqlx::query_as(
            "select current_setting('server_version_num')::int, pg_is_in_recovery(), current_setting('server_encoding'),
                    current_database()::text, pg_postmaster_start_time(), current_setting('TimeZone'),
                    current_setting('idle_in_transaction_session_timeout'), clock_timestamp(),
                    pg_has_role(current_user, 'pg_read_all_stats', 'usage')",
        )
        .persistent(false)
        .fetch_one(conn)
        .await?;
    Ok(Server { version, standby, encoding, database, started_at, time_zone, idle_in_transaction, now, reads_statistics })
}

/// A managing bot.
#[derive(Clone, Debug)]
pub struct CheckedBot {
    /// The bot.
    pub id: BotId,
    /// Its token.
    pub token: BotToken,
    /// Its working group, in marked form.
    pub group: Option<String>,
    /// Last part of its webhook's path.
    pub webhook_secret: Option<Secret<String>>,
    /// `active`, `inactive` or `error`.
    pub status: String,
}

/// Bots that are bound to a project, by id, [`MOST_BOTS`] at most, and how many there are.
pub async fn bots(store: &Store) -> Result<(Vec<CheckedBot>, i64)> {
    let rows = sqlx::query!(
        r#"select b.id, b.token, b.group_chat_id, nullif(b.webhook_secret, '') as webhook_secret, b.status::text as "status!",
                  count(*) over () as "all!"
             from bots b join projects p on p.bot_id = b.id
            where b.status <> 'inactive' order by b.id limit $1"#,
        MOST_BOTS
    )
    .fetch_all(store.pool())
    .await?;
    let all = rows.first().map_or(0, |row| row.all);
    let bots = rows.into_iter().map(|row| CheckedBot {
        id: BotId(row.id),
        token: Secret::new(row.token),
        group: row.group_chat_id,
        webhook_secret: row.webhook_secret.map(Secret::new),
        status: row.status,
    });
    Ok((bots.collect(), all))
}

/// Most sessions of either form that are looked at.
const MOST_SESSIONS: i64 = 10_000;

/// Sessions of active accounts as an old Tuberry wrote them (or we for it). Its table may be all that there is.
pub async fn old_sessions(store: &Store) -> Result<Vec<(AccountId, String)>> {
    let rows = sqlx::query!(
        r#"select id, session_payload as "payload!" from personal_telegram_accounts
            where status = 'active' and session_payload <> '' order by id limit $1"#,
        MOST_SESSIONS
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|row| (AccountId(row.id), row.payload)).collect())
}

/// Sessions in our own form, sealed.
pub async fn own_sessions(store: &Store) -> Result<Vec<(AccountId, String)>> {
    let rows =
        sqlx::query!("select account_id, sealed from personal_telegram_sessions order by account_id limit $1", MOST_SESSIONS);
    let rows = rows.fetch_all(store.pool()).await?;
    Ok(rows.into_iter().map(|row| (AccountId(row.account_id), row.sealed)).collect())
}

/// How many active accounts are in a project that has no usable bot or group: what they receive waits at Telegram.
pub async fn accounts_without_bot(store: &Store) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from personal_telegram_accounts a
             left join projects p on p.id = a.project_id left join bots b on b.id = p.bot_id
            where a.status = 'active' and (b.id is null or b.status = 'inactive' or coalesce(b.group_chat_id, '') = '')"#
    );
    Ok(count.fetch_one(store.pool()).await?)
}

//! Accounts as jobs and workers see them: state, sealed session, and what becomes of both.

use crate::{Result, Tx, storable};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tuberry_domain::account::Accepts;
use tuberry_domain::intake::{SelfUser, UpdateState};
use tuberry_domain::ports::StatusEvent;
use tuberry_domain::{AccountId, BotId, ChatId, ClientId, ProjectId, TombstoneId};

/// Where an account belongs and what of it is mirrored.
#[derive(Clone, Debug)]
pub struct Home {
    /// Tenant.
    pub client: ClientId,
    /// Project.
    pub project: ProjectId,
    /// The project's managing bot, if it still has one.
    pub bot: Option<BotId>,
    /// The bot's working group.
    pub group: Option<ChatId>,
    /// Accept flags.
    pub accepts: Accepts,
}

/// Looks up where the account belongs.
pub async fn home(tx: &mut Tx, account: AccountId) -> Result<Option<Home>> {
    let row = sqlx::query!(
        "select a.client_id, a.project_id, a.accepts_private, a.accepts_groups, a.accepts_channels, p.bot_id, b.group_chat_id
           from personal_telegram_accounts a
           join projects p on p.id = a.project_id
           left join bots b on b.id = p.bot_id
          where a.id = $1 for key share of a, p",
        account.0
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| Home {
        client: ClientId(row.client_id),
        project: ProjectId(row.project_id),
        bot: row.bot_id.map(BotId),
        group: row.group_chat_id.and_then(|id| id.trim().parse().ok()).map(ChatId),
        accepts: Accepts { private: row.accepts_private, groups: row.accepts_groups, channels: row.accepts_channels },
    }))
}

/// Makes an account of a finished login, or renews the one with the same Telegram user in the same project. Returns its id and whether it
/// was renewed; the session is stored by [`store_session`] (sealing needs the id).
pub async fn upsert_authorised(tx: &mut Tx, client: ClientId, project: ProjectId, user: &SelfUser) -> Result<(AccountId, bool)> {
    let telegram_id = user.id.to_string();
    // Two logins of one user at once must not make two accounts.
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended('personal_telegram_account/' || $1 || '/' || $2, 0))",
        project.to_string(),
        telegram_id
    )
    .execute(tx.conn())
    .await?;
    let renewed = sqlx::query_scalar!(
        "update personal_telegram_accounts set
                display_name = coalesce(nullif(display_name, ''), $3), username = $4, phone = coalesce($5, phone),
                status = 'active', last_error = null, updated_at = now() at time zone 'utc'
          where id = (select id from personal_telegram_accounts where project_id = $1 and telegram_user_id = $2 order by id limit 1)
         returning id",
        project.0,
        telegram_id,
        user.name,
        user.username,
        user.phone
    )
    .fetch_optional(tx.conn())
    .await?;
    if let Some(id) = renewed {
        tx.tell_after_commit(StatusEvent::Account { account_id: AccountId(id), status: "active", error: None });
        return Ok((AccountId(id), true));
    }
    let id = sqlx::query_scalar!(
        "insert into personal_telegram_accounts (created_at, client_id, project_id, display_name, username, phone, telegram_user_id,
                status, accepts_private, accepts_groups, accepts_channels)
         values (now() at time zone 'utc', $1, $2, $3, $4, $5, $6, 'active', true, false, false)
         returning id",
        client.0,
        project.0,
        user.name,
        user.username,
        user.phone,
        telegram_id
    )
    .fetch_one(tx.conn())
    .await?;
    tx.tell_after_commit(StatusEvent::Account { account_id: AccountId(id), status: "active", error: None });
    Ok((AccountId(id), false))
}

/// Stores a new session: `sealed` in our form, `fernet` in the old system's, which is kept until the move is finished. `shown`: Telegram has said
/// whose it is.
pub async fn store_session(tx: &mut Tx, account: AccountId, sealed: &str, fernet: Option<&str>, shown: bool) -> Result<()> {
    // Who ends the move waits for us, and then wipes what we wrote.
    let open = sqlx::query_scalar!(r#"select finished_at is null as "open!" from personal_telegram_moving for key share"#);
    let fernet = if open.fetch_one(tx.conn()).await? { fernet } else { None };
    sqlx::query!("update personal_telegram_accounts set session_payload = $2 where id = $1", account.0, fernet)
        .execute(tx.conn())
        .await?;
    sqlx::query!(
        "insert into personal_telegram_sessions (account_id, sealed, payload_digest, shown) values ($1, $2, sha256(convert_to($3, 'UTF8')), $4)
         on conflict (account_id) do update set sealed = excluded.sealed, payload_digest = excluded.payload_digest, created_at = now(),
                shown = excluded.shown",
        account.0,
        sealed,
        fernet,
        shown
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The update state from which the account's connection goes on; `None` for an account that has none yet.
pub async fn update_state(pool: &PgPool, account: AccountId) -> Result<Option<UpdateState>> {
    let Some(row) =
        sqlx::query!("select pts, qts, date, seq from personal_telegram_update_states where account_id = $1", account.0)
            .fetch_optional(pool)
            .await?
    else {
        return Ok(None);
    };
    let channels = sqlx::query!("select channel_id, pts from personal_telegram_channel_states where account_id = $1", account.0)
        .fetch_all(pool)
        .await?;
    let channels = channels.into_iter().map(|row| (row.channel_id, row.pts)).collect();
    Ok(Some(UpdateState { pts: row.pts, qts: row.qts, date: row.date, seq: row.seq, channels }))
}

/// Stores the update state; part of the transaction that stores what it stands for.
pub async fn save_update_state(tx: &mut Tx, account: AccountId, state: &UpdateState) -> Result<()> {
    sqlx::query!(
        "insert into personal_telegram_update_states (account_id, pts, qts, date, seq) values ($1, $2, $3, $4, $5)
         on conflict (account_id) do update set pts = excluded.pts, qts = excluded.qts, date = excluded.date, seq = excluded.seq, updated_at = now()",
        account.0,
        state.pts,
        state.qts,
        state.date,
        state.seq
    )
    .execute(tx.conn())
    .await?;
    if state.channels.is_empty() {
        return Ok(());
    }
    let (ids, pts): (Vec<i64>, Vec<i32>) = state.channels.iter().copied().unzip();
    sqlx::query!(
        "insert into personal_telegram_channel_states (account_id, channel_id, pts)
         select $1, u.channel, u.pts from unnest($2::bigint[], $3::int[]) as u(channel, pts)
         on conflict (account_id, channel_id) do update set pts = excluded.pts where personal_telegram_channel_states.pts <> excluded.pts",
        account.0,
        &ids,
        &pts
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Keeps what a renewed account had: only `qts` comes from the new session. False: it had no state yet.
pub async fn renew_update_state(tx: &mut Tx, account: AccountId, state: &UpdateState) -> Result<bool> {
    let done = sqlx::query!(
        "update personal_telegram_update_states set qts = $2, updated_at = now() where account_id = $1",
        account.0,
        state.qts
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes an account out of service because of what became of the session of `session_from`: status `error` with a text for its owner, the key
/// wiped. False: a newer login has replaced that session meanwhile, and nothing is changed; or the old system has made a newer session that waits
/// to be taken over, and only ours is wiped.
pub async fn mark_problem(tx: &mut Tx, account: AccountId, session_from: DateTime<Utc>, text: &str) -> Result<bool> {
    // The account before its session, as whoever stores one.
    sqlx::query!("select id from personal_telegram_accounts where id = $1 for no key update", account.0)
        .fetch_optional(tx.conn())
        .await?;
    let ended = sqlx::query_scalar!(
        "delete from personal_telegram_sessions where account_id = $1 and created_at = $2 returning payload_digest",
        account.0,
        session_from
    );
    let Some(digest) = ended.fetch_optional(tx.conn()).await? else { return Ok(false) };
    let marked = sqlx::query!(
        "update personal_telegram_accounts set status = 'error', last_error = $2, session_payload = null, updated_at = now() at time zone 'utc'
          where id = $1 and (coalesce(session_payload, '') = '' or sha256(convert_to(session_payload, 'UTF8')) = $3)",
        account.0,
        text,
        digest
    )
    .execute(tx.conn())
    .await?;
    if marked.rows_affected() == 0 {
        return Ok(false);
    }
    tx.tell_after_commit(StatusEvent::Account { account_id: account, status: "error", error: Some(text.to_owned()) });
    Ok(true)
}

/// Telegram has said whose the session is: fills in who the account is, where that is not known yet.
pub async fn introduce(tx: &mut Tx, account: AccountId, user: &SelfUser) -> Result<()> {
    sqlx::query!("update personal_telegram_sessions set shown = true where account_id = $1 and not shown", account.0)
        .execute(tx.conn())
        .await?;
    sqlx::query!(
        "update personal_telegram_accounts set telegram_user_id = coalesce(nullif(trim(telegram_user_id), ''), $2),
                display_name = coalesce(nullif(display_name, ''), $3), username = coalesce(username, $4), phone = coalesce(phone, $5)
          where id = $1",
        account.0,
        user.id.to_string(),
        storable::text(&user.name),
        user.username.as_deref().map(storable::text),
        user.phone
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Notes a passing trouble that keeps the account from being served; its status stays.
pub async fn mark_trouble(pool: &PgPool, account: AccountId, text: &str) -> Result<()> {
    sqlx::query!(
        "update personal_telegram_accounts set last_error = $2 where id = $1 and status = 'active' and last_error is distinct from $2",
        account.0,
        text
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// A removed account whose session Telegram still has to be told of.
#[derive(Debug)]
pub struct Tombstone {
    /// The account that is gone.
    pub account: AccountId,
    /// Its session, sealed as [`store_session`] took it.
    pub sealed: String,
    /// Its own proxy, sealed.
    pub proxy: Option<String>,
}

/// Looks a tombstone up; `None` when its log-out is done.
pub async fn tombstone(pool: &PgPool, id: TombstoneId) -> Result<Option<Tombstone>> {
    let row = sqlx::query!("select account_id, sealed, proxy from personal_telegram_tombstones where id = $1", id.0)
        .fetch_optional(pool)
        .await?;
    Ok(row.map(|row| Tombstone { account: AccountId(row.account_id), sealed: row.sealed, proxy: row.proxy }))
}

/// Forgets the session for good.
pub async fn forget_tombstone(tx: &mut Tx, id: TombstoneId) -> Result<()> {
    sqlx::query!("delete from personal_telegram_tombstones where id = $1", id.0).execute(tx.conn()).await?;
    Ok(())
}

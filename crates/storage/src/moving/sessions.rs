//! Sessions in both forms: the old system's Fernet tokens in `session_payload`, ours beside them; and everything else that is sealed, for a new key.

use crate::{Result, Store, Tx};
use sqlx::PgPool;
use tuberry_domain::{AccountId, ProjectId, Secret};

/// A session that the old system made and we have not taken over.
#[derive(Debug)]
pub struct OldSession {
    /// Whose.
    pub account: AccountId,
    /// The Fernet token.
    pub payload: Secret<String>,
    /// Ours of the same account, sealed.
    pub sealed: Option<String>,
}

/// Every one that is to be taken over: of accounts that are not out of service.
pub async fn to_take_over(pool: &PgPool) -> Result<Vec<OldSession>> {
    let rows = sqlx::query!(
        r#"select a.id, a.session_payload as "payload!", s.sealed as "sealed?"
             from personal_telegram_accounts a left join personal_telegram_sessions s on s.account_id = a.id
            where a.session_payload <> '' and a.status in ('active', 'pending')
              and s.payload_digest is distinct from sha256(convert_to(a.session_payload, 'UTF8'))
            order by a.id"#
    )
    .fetch_all(pool)
    .await?;
    let old = rows.into_iter().map(|row| OldSession {
        account: AccountId(row.id),
        payload: Secret::new(row.payload),
        sealed: row.sealed,
    });
    Ok(old.collect())
}

/// Stores a session of the old system's as ours. `same`: it is the one that we have already, and its connection goes on. False: the account
/// changed meanwhile.
pub async fn take_over(store: &Store, old: &OldSession, sealed: &str, same: bool) -> Result<bool> {
    let mut tx = store.begin().await?;
    let locked = sqlx::query!(
        "select id from personal_telegram_accounts
          where id = $1 and session_payload = $2 and status in ('active', 'pending') for no key update",
        old.account.0,
        old.payload.expose()
    );
    if locked.fetch_optional(tx.conn()).await?.is_none() {
        return Ok(false);
    }
    sqlx::query!(
        "insert into personal_telegram_sessions as s (account_id, sealed, payload_digest, shown) values ($1, $2, sha256(convert_to($3, 'UTF8')), false)
         on conflict (account_id) do update set sealed = excluded.sealed, payload_digest = excluded.payload_digest,
                created_at = case when $4 then s.created_at else now() end, shown = $4 and s.shown",
        old.account.0,
        sealed,
        old.payload.expose(),
        same
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "update personal_telegram_accounts set status = 'active', updated_at = now() at time zone 'utc',
                session_payload = (select case when finished_at is null then $2 end from personal_telegram_moving)
          where id = $1",
        old.account.0,
        old.payload.expose()
    )
    .execute(tx.conn())
    .await?;
    tx.commit().await?;
    Ok(true)
}

/// Ends the time of both systems: nothing is kept for the old one any more. What it has of sessions that are ours too is wiped. Returns how many
/// tokens were wiped, and how many stay because we have no session of that account, or an older one.
pub async fn finish(store: &Store) -> Result<(u64, u64)> {
    let mut tx = store.begin().await?;
    // A login that is about to write a token has read the row for share, and is waited for.
    sqlx::query!("select single from personal_telegram_moving for update").fetch_one(tx.conn()).await?;
    sqlx::query!("update personal_telegram_moving set finished_at = coalesce(finished_at, now())").execute(tx.conn()).await?;
    let wiped = sqlx::query!(
        "update personal_telegram_accounts a set session_payload = null, updated_at = now() at time zone 'utc'
          where a.session_payload is not null
            and (a.session_payload = '' or exists (select from personal_telegram_sessions s
                                                    where s.account_id = a.id and s.payload_digest = sha256(convert_to(a.session_payload, 'UTF8'))))"
    )
    .execute(tx.conn())
    .await?;
    let left = sqlx::query_scalar!(r#"select count(*) as "left!" from personal_telegram_accounts where session_payload <> ''"#);
    let left = left.fetch_one(tx.conn()).await?;
    tx.commit().await?;
    Ok((wiped.rows_affected(), left.try_into().unwrap_or_default()))
}

/// An account's session at a glance.
#[derive(Debug)]
pub struct SessionRow {
    /// The account.
    pub account: AccountId,
    /// Its tenant and project.
    pub client: i32,
    /// Its project.
    pub project: i32,
    /// `pending`, `active` or `error`.
    pub status: String,
    /// Ours, sealed.
    pub sealed: Option<String>,
    /// The old system's token.
    pub payload: Option<Secret<String>>,
    /// Who holds the account, and for how many seconds it has not renewed that.
    pub holder: Option<(String, f64)>,
}

/// All accounts with their sessions.
pub async fn list(pool: &PgPool) -> Result<Vec<SessionRow>> {
    let rows = sqlx::query!(
        r#"select a.id, a.client_id, a.project_id, a.status::text as "status!", s.sealed as "sealed?", nullif(a.session_payload, '') as payload,
                  l.owner as "owner?", extract(epoch from now() - l.renewed_at)::float8 as silent
             from personal_telegram_accounts a
             left join personal_telegram_sessions s on s.account_id = a.id
             left join personal_telegram_leases l on l.class = $1 and l.object = a.id
            order by a.id"#,
        tuberry_domain::ports::KeyClass::Account as i32
    )
    .fetch_all(pool)
    .await?;
    let sessions = rows.into_iter().map(|row| SessionRow {
        account: AccountId(row.id),
        client: row.client_id,
        project: row.project_id,
        status: row.status,
        sealed: row.sealed,
        payload: row.payload.map(Secret::new),
        holder: row.owner.zip(row.silent),
    });
    Ok(sessions.collect())
}

/// A session from elsewhere takes the place of the account's, which comes back into service. False: there is no such account. The caller holds
/// the account's lease and checks it in the same transaction.
pub async fn reinstate(tx: &mut Tx, account: AccountId) -> Result<bool> {
    let done = sqlx::query!(
        "update personal_telegram_accounts set status = 'active', last_error = null, updated_at = now() at time zone 'utc' where id = $1",
        account.0
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Makes an account whose owner Telegram will tell, with the flags of every new one. `None`: there is no such project.
pub async fn create_account(tx: &mut Tx, project: ProjectId) -> Result<Option<AccountId>> {
    let id = sqlx::query_scalar!(
        "insert into personal_telegram_accounts (created_at, client_id, project_id, status, accepts_private, accepts_groups, accepts_channels)
         select now() at time zone 'utc', client_id, id, 'active', true, false, false from projects where id = $1 returning id",
        project.0
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(id.map(AccountId))
}

/// What is sealed in a column of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Session of an account.
    Session,
    /// Its Fernet token.
    Payload,
    /// Its proxy.
    Proxy,
    /// Session of a removed account.
    Tombstone,
    /// Its proxy.
    TombstoneProxy,
    /// Key of a login in progress.
    LoginKey,
    /// Its QR code.
    LoginUrl,
}

/// A sealed value.
#[derive(Debug)]
pub struct Sealed {
    /// What it is.
    pub kind: Kind,
    /// The row's key.
    pub row: i32,
    /// The id that the value is sealed for: the account, or the login's number.
    pub owner: i32,
    /// The value.
    pub value: String,
}

/// Everything that is sealed, whatever the key.
pub async fn sealed(pool: &PgPool) -> Result<Vec<Sealed>> {
    let rows = sqlx::query!(
        r#"select 0 as "kind!", account_id as "row!", account_id as "owner!", sealed as "value!" from personal_telegram_sessions
           union all select 1, id, id, session_payload from personal_telegram_accounts where session_payload <> ''
           union all select 2, account_id, account_id, sealed from personal_telegram_proxies
           union all select 3, id, account_id, sealed from personal_telegram_tombstones
           union all select 4, id, account_id, proxy from personal_telegram_tombstones where proxy is not null
           union all select 5, number, number, sealed_key from personal_telegram_logins where sealed_key is not null
           union all select 6, number, number, sealed_url from personal_telegram_logins where sealed_url is not null"#
    )
    .fetch_all(pool)
    .await?;
    const KINDS: [Kind; 7] =
        [Kind::Session, Kind::Payload, Kind::Proxy, Kind::Tombstone, Kind::TombstoneProxy, Kind::LoginKey, Kind::LoginUrl];
    let kind = |number: i32| usize::try_from(number).ok().and_then(|number| KINDS.get(number)).copied();
    let sealed = rows
        .into_iter()
        .filter_map(|row| Some(Sealed { kind: kind(row.kind)?, row: row.row, owner: row.owner, value: row.value }));
    Ok(sealed.collect())
}

/// Puts the same under another key in its place. False: the value is another one by now.
pub async fn replace(pool: &PgPool, old: &Sealed, new: &str) -> Result<bool> {
    let (row, value) = (old.row, old.value.as_str());
    let done = match old.kind {
        Kind::Session => {
            sqlx::query!(
                "update personal_telegram_sessions set sealed = $3 where account_id = $1 and sealed = $2",
                row,
                value,
                new
            )
            .execute(pool)
            .await?
        }
        Kind::Payload => {
            sqlx::query!(
                "with ours as (
                   update personal_telegram_sessions set payload_digest = sha256(convert_to($3, 'UTF8'))
                    where account_id = $1 and payload_digest = sha256(convert_to($2, 'UTF8')))
                 update personal_telegram_accounts set session_payload = $3 where id = $1 and session_payload = $2",
                row,
                value,
                new
            )
            .execute(pool)
            .await?
        }
        Kind::Proxy => {
            sqlx::query!(
                "update personal_telegram_proxies set sealed = $3 where account_id = $1 and sealed = $2",
                row,
                value,
                new
            )
            .execute(pool)
            .await?
        }
        Kind::Tombstone => {
            sqlx::query!("update personal_telegram_tombstones set sealed = $3 where id = $1 and sealed = $2", row, value, new)
                .execute(pool)
                .await?
        }
        Kind::TombstoneProxy => {
            sqlx::query!("update personal_telegram_tombstones set proxy = $3 where id = $1 and proxy = $2", row, value, new)
                .execute(pool)
                .await?
        }
        Kind::LoginKey => {
            sqlx::query!(
                "update personal_telegram_logins set sealed_key = $3 where number = $1 and sealed_key = $2",
                row,
                value,
                new
            )
            .execute(pool)
            .await?
        }
        Kind::LoginUrl => {
            sqlx::query!(
                "update personal_telegram_logins set sealed_url = $3 where number = $1 and sealed_url = $2",
                row,
                value,
                new
            )
            .execute(pool)
            .await?
        }
    };
    Ok(done.rows_affected() == 1)
}

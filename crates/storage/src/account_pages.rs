//! Accounts as their owners see them: list, change, remove.

use crate::{Result, Tx, words};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use tuberry_domain::ports::StatusEvent;
use tuberry_domain::{AccountId, ClientId, ProjectId, TombstoneId};
use utoipa::ToSchema;
use utoipa::openapi::Object;

/// An account; serialised as the contract's section 5 shows it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Account)]
pub struct AccountPage {
    /// `personal_telegram_accounts.id`.
    #[schema(value_type = i32, example = 1)]
    pub id: AccountId,
    /// Tenant.
    #[schema(value_type = i32, example = 1)]
    pub client_id: ClientId,
    /// Project.
    #[schema(value_type = i32, example = 1)]
    pub project_id: ProjectId,
    /// The name shown in the portal.
    #[schema(example = "Анна")]
    pub display_name: Option<String>,
    /// Telegram's username, without `@`.
    #[schema(example = "anna_shop")]
    pub username: Option<String>,
    /// Phone number.
    #[schema(example = "79001234567")]
    pub phone: Option<String>,
    /// Telegram's user id.
    #[schema(example = "4815162342")]
    pub telegram_user_id: Option<String>,
    /// `pending`, `active` or `error`.
    #[schema(schema_with = account_status)]
    pub status: String,
    /// Mirrors private chats.
    pub accepts_private: bool,
    /// Mirrors groups.
    pub accepts_groups: bool,
    /// Mirrors channels.
    pub accepts_channels: bool,
    /// Last proof of life.
    pub last_connected_at: Option<DateTime<Utc>>,
    /// What is wrong, in Russian.
    #[schema(example = json!(null))]
    pub last_error: Option<String>,
    /// `host:port` of its own proxy, without credentials.
    #[schema(example = "192.0.2.10:1080")]
    pub proxy: Option<String>,
    /// When it was connected first.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: Option<DateTime<Utc>>,
}

fn account_status() -> Object {
    words("`error`: out of service until somebody acts; `last_error` says what.", ["pending", "active", "error"])
}

/// What may be changed of an account; `None` leaves it alone.
#[derive(Clone, Debug, Default)]
pub struct AccountChange {
    /// New name; empty takes it away.
    pub display_name: Option<String>,
    /// Mirror private chats.
    pub accepts_private: Option<bool>,
    /// Mirror groups.
    pub accepts_groups: Option<bool>,
    /// Mirror channels.
    pub accepts_channels: Option<bool>,
}

/// A tenant's accounts, of one project or of all, oldest first.
pub async fn list(pool: &PgPool, client: ClientId, project: Option<ProjectId>) -> Result<Vec<AccountPage>> {
    let accounts = sqlx::query_as!(
        AccountPage,
        r#"select id, client_id, project_id, display_name, username, phone, telegram_user_id, status::text as "status!",
                  accepts_private, accepts_groups, accepts_channels, last_connected_at at time zone 'utc' as last_connected_at, last_error,
                  created_at at time zone 'utc' as "created_at!", updated_at at time zone 'utc' as updated_at,
                  (select p.address from personal_telegram_proxies p where p.account_id = personal_telegram_accounts.id) as proxy
             from personal_telegram_accounts
            where client_id = $1 and ($2::int is null or project_id = $2) order by id limit 10000"#,
        client.0,
        project.map(|project| project.0)
    );
    Ok(accounts.fetch_all(pool).await?)
}

/// A tenant's account.
pub async fn find(pool: &PgPool, client: ClientId, account: AccountId) -> Result<Option<AccountPage>> {
    let account = sqlx::query_as!(
        AccountPage,
        r#"select id, client_id, project_id, display_name, username, phone, telegram_user_id, status::text as "status!",
                  accepts_private, accepts_groups, accepts_channels, last_connected_at at time zone 'utc' as last_connected_at, last_error,
                  created_at at time zone 'utc' as "created_at!", updated_at at time zone 'utc' as updated_at,
                  (select p.address from personal_telegram_proxies p where p.account_id = personal_telegram_accounts.id) as proxy
             from personal_telegram_accounts where id = $1 and client_id = $2"#,
        account.0,
        client.0
    );
    Ok(account.fetch_optional(pool).await?)
}

/// Changes a tenant's account. False: there is no such account.
pub async fn update(tx: &mut Tx, client: ClientId, account: AccountId, change: &AccountChange) -> Result<bool> {
    let done = sqlx::query!(
        "update personal_telegram_accounts set
                display_name = nullif(coalesce($3, display_name), ''),
                accepts_private = coalesce($4, accepts_private),
                accepts_groups = coalesce($5, accepts_groups),
                accepts_channels = coalesce($6, accepts_channels),
                updated_at = now() at time zone 'utc'
          where id = $1 and client_id = $2",
        account.0,
        client.0,
        change.display_name,
        change.accepts_private,
        change.accepts_groups,
        change.accepts_channels
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Locks a tenant's account, for its removal. False: there is no such account.
pub async fn lock(tx: &mut Tx, client: ClientId, account: AccountId) -> Result<bool> {
    let locked = sqlx::query!(
        "select id from personal_telegram_accounts where id = $1 and client_id = $2 for update",
        account.0,
        client.0
    );
    Ok(locked.fetch_optional(tx.conn()).await?.is_some())
}

/// Removes a locked account. Its dialogs stay, without it. Where it has a session, ours or the old system's, this moves to a tombstone
/// for Telegram to be told.
pub async fn remove(tx: &mut Tx, account: AccountId) -> Result<Option<TombstoneId>> {
    let tombstone = sqlx::query_scalar!(
        "insert into personal_telegram_tombstones (account_id, sealed, proxy)
         select a.id, coalesce(s.sealed, a.session_payload), p.sealed
           from personal_telegram_accounts a left join personal_telegram_sessions s on s.account_id = a.id
           left join personal_telegram_proxies p on p.account_id = a.id
          where a.id = $1 and coalesce(s.sealed, a.session_payload, '') <> ''
         returning id",
        account.0
    )
    .fetch_optional(tx.conn())
    .await?;
    sqlx::query!(
        "update dialogs set personal_account_id = null, updated_at = now() at time zone 'utc' where personal_account_id = $1",
        account.0
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!("delete from personal_telegram_accounts where id = $1", account.0).execute(tx.conn()).await?;
    tx.tell_after_commit(StatusEvent::Account { account_id: account, status: "removed", error: None });
    Ok(tombstone.map(TombstoneId))
}

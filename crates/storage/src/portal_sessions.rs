//! Sessions of the portal. A session's id is the SHA-256 of its cookie: whoever reads the table cannot sign in with it.

use crate::users::{ActiveUser, Role};
use crate::{Result, Store};
use sqlx::PgPool;
use std::time::Duration;
use tuberry_domain::{ClientId, UserId};

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The user.
    pub user: ActiveUser,
    /// The address, for the page's head.
    pub email: String,
    /// The tenant's name.
    pub client_name: Option<String>,
}

/// Begins a session of `user` that lasts `lifetime` at most.
pub async fn begin(store: &Store, id: &[u8; 32], user: UserId, lifetime: Duration) -> Result<()> {
    sqlx::query!(
        "insert into portal_sessions (id, user_id, ends_at) values ($1, $2, now() + make_interval(secs => $3))",
        &id[..],
        user.0,
        lifetime.as_secs_f64()
    )
    .execute(store.pool())
    .await?;
    Ok(())
}

/// Whose session it is: of an active user, not ended, and used within `idle`.
pub async fn find(store: &Store, id: &[u8; 32], idle: Duration) -> Result<Option<SignedIn>> {
    let row = sqlx::query!(
        r#"select u.id, u.role as "role: Role", u.client_id, u.email, c.name as "client_name?", s.seen_at < now() - interval '5 minutes' as "stale!"
             from portal_sessions s join users u on u.id = s.user_id left join clients c on c.id = u.client_id
            where s.id = $1 and s.ends_at > now() and s.seen_at > now() - make_interval(secs => $2) and u.is_active"#,
        &id[..],
        idle.as_secs_f64()
    )
    .fetch_optional(store.pool())
    .await?;
    let Some(row) = row else { return Ok(None) };
    if row.stale {
        sqlx::query!("update portal_sessions set seen_at = now() where id = $1", &id[..]).execute(store.pool()).await?;
    }
    let user = ActiveUser { id: UserId(row.id), role: row.role, client: row.client_id.map(ClientId) };
    Ok(Some(SignedIn { user, email: row.email.unwrap_or_default(), client_name: row.client_name }))
}

/// Ends one session.
pub async fn end(store: &Store, id: &[u8; 32]) -> Result<()> {
    sqlx::query!("delete from portal_sessions where id = $1", &id[..]).execute(store.pool()).await?;
    Ok(())
}

/// Ends all other sessions of a user: the password was changed.
pub async fn end_others(store: &Store, user: UserId, but: &[u8; 32]) -> Result<()> {
    sqlx::query!("delete from portal_sessions where user_id = $1 and id <> $2", user.0, &but[..]).execute(store.pool()).await?;
    Ok(())
}

/// Deletes at most `limit` sessions that have ended. Returns how many.
pub async fn purge(pool: &PgPool, limit: u32) -> Result<u64> {
    let gone = sqlx::query!(
        "delete from portal_sessions where id in (select id from portal_sessions where ends_at < now() order by ends_at limit $1)",
        i64::from(limit)
    );
    Ok(gone.execute(pool).await?.rows_affected())
}

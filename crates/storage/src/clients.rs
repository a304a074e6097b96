//! Clients: the tenants.

use crate::{Result, Tx};
use sqlx::PgPool;
use tuberry_domain::ClientId;

/// Creates an active client with the old system's defaults.
pub async fn create(tx: &mut Tx, name: &str) -> Result<ClientId> {
    let id = sqlx::query_scalar!(
        "insert into clients (created_at, name, status, plan, require_reply_for_avito, hide_system_messages, auto_reply_enabled,
                              auto_reply_mode, auto_reply_always)
         values (now() at time zone 'utc', $1, 'active', 'default', false, true, false, 'always', false)
         returning id",
        name
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(ClientId(id))
}

/// Whether there is such a client.
pub async fn exists(pool: &PgPool, client: ClientId) -> Result<bool> {
    let found = sqlx::query_scalar!(r#"select exists (select from clients where id = $1) as "found!""#, client.0);
    Ok(found.fetch_one(pool).await?)
}

//! Accounts' own proxies. A change is a reason for a new connection: workers see it by the session's `created_at`.

use crate::{Result, Tx};
use tuberry_domain::{AccountId, ClientId};

/// Gives a tenant's account a proxy; `address` is shown, `sealed` is the whole URL. False: there is no such account.
pub async fn set(tx: &mut Tx, client: ClientId, account: AccountId, address: &str, sealed: &str) -> Result<bool> {
    let done = sqlx::query!(
        "insert into personal_telegram_proxies (account_id, address, sealed)
         select a.id, $3, $4 from personal_telegram_accounts a where a.id = $1 and a.client_id = $2
         on conflict (account_id) do update set address = excluded.address, sealed = excluded.sealed, created_at = now()",
        account.0,
        client.0,
        address,
        sealed
    )
    .execute(tx.conn())
    .await?;
    let found = done.rows_affected() == 1;
    if found {
        connect_anew(tx, account).await?;
    }
    Ok(found)
}

/// Takes the proxy of a tenant's account away. False: it has none, or there is no such account.
pub async fn remove(tx: &mut Tx, client: ClientId, account: AccountId) -> Result<bool> {
    let done = sqlx::query!(
        "delete from personal_telegram_proxies p using personal_telegram_accounts a
          where p.account_id = $1 and a.id = p.account_id and a.client_id = $2",
        account.0,
        client.0
    )
    .execute(tx.conn())
    .await?;
    let found = done.rows_affected() == 1;
    if found {
        connect_anew(tx, account).await?;
    }
    Ok(found)
}

/// What was wrong with the old way says nothing of the new one.
async fn connect_anew(tx: &mut Tx, account: AccountId) -> Result<()> {
    sqlx::query!(
        "with anew as (update personal_telegram_sessions set created_at = clock_timestamp() where account_id = $1)
         update personal_telegram_accounts set last_error = null, updated_at = now() at time zone 'utc'
          where id = $1 and (status = 'active' or last_error is null)",
        account.0
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

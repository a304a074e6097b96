//! What Telegram does not let an account do for a while. The account stays `active`, and its owner reads why.

use crate::Result;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tuberry_domain::AccountId;

/// The kind that lets the account send nothing.
pub const FROZEN: &str = "frozen";

/// The account is restricted until then; a restriction of the same kind is replaced. The owner sees the text at once.
pub async fn note(pool: &PgPool, account: AccountId, kind: &str, text: &str, until: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "with noted as (
           insert into personal_telegram_restrictions (account_id, kind, text, until)
           select a.id, $2, $3, $4 from personal_telegram_accounts a where a.id = $1
           on conflict (account_id, kind) do update set text = excluded.text, until = excluded.until)
         update personal_telegram_accounts set last_error = $3 where id = $1 and status = 'active' and last_error is distinct from $3",
        account.0,
        kind,
        text,
        until
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Forgets restrictions that are over.
pub async fn purge(pool: &PgPool) -> Result<u64> {
    let done = sqlx::query!("delete from personal_telegram_restrictions where until < now()").execute(pool).await?;
    Ok(done.rows_affected())
}

//! How many logins may be open at the same time: each keeps a connection to Telegram busy.

use crate::{Result, Tx};
use tuberry_domain::{ClientId, ProjectId};

/// Open logins of one project.
const PER_PROJECT: i64 = 3;

/// Open logins of one tenant.
const PER_CLIENT: i64 = 20;

/// Makes room for one more login, to be created in this transaction: a project's oldest ones are cancelled. False: the tenant has too
/// many in all its projects.
pub async fn make_room(tx: &mut Tx, client: ClientId, project: ProjectId) -> Result<bool> {
    // Requests of one tenant count one after the other.
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('personal_telegram_logins/' || $1::int::text, 0))", client.0)
        .execute(tx.conn())
        .await?;
    sqlx::query!(
        "update personal_telegram_logins set stage = 'cancelled', error = 'Начат новый вход',
                sealed_key = null, sealed_url = null, password_parameters = null, proof = null, updated_at = now()
          where stage not in ('completed', 'failed', 'expired', 'cancelled')
            and number in (
              select number from personal_telegram_logins
               where project_id = $1 and stage not in ('completed', 'failed', 'expired', 'cancelled') and expires_at > now()
               order by number desc offset $2)",
        project.0,
        PER_PROJECT - 1
    )
    .execute(tx.conn())
    .await?;
    let open = sqlx::query_scalar!(
        r#"select count(*) as "open!" from personal_telegram_logins
            where client_id = $1 and stage not in ('completed', 'failed', 'expired', 'cancelled') and expires_at > now()"#,
        client.0
    );
    Ok(open.fetch_one(tx.conn()).await? < PER_CLIENT)
}

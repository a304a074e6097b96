//! Logins: the row that holds everything the next step needs, whichever process takes it.

use crate::{Error, Result, Tx};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tuberry_domain::login::LoginStage;
use tuberry_domain::ports::{PasswordProof, StatusEvent};
use tuberry_domain::{AccountId, ClientId, LoginNumber, ProjectId};

/// A login's row. Sealed columns are opened by whoever needs them.
#[derive(Clone, Debug)]
pub struct Login {
    /// Short id, also of its advisory lock.
    pub number: LoginNumber,
    /// Public id, unguessable.
    pub id: String,
    /// Tenant.
    pub client: ClientId,
    /// Project that the account will belong to.
    pub project: ProjectId,
    /// Where it stands.
    pub stage: LoginStage,
    /// Keys and home DC, sealed.
    pub sealed_key: Option<String>,
    /// The QR code's URL, sealed: whoever scans it hands over an account.
    pub sealed_url: Option<String>,
    /// When Telegram stops taking the code.
    pub token_expires_at: Option<DateTime<Utc>>,
    /// When the whole login ends.
    pub expires_at: DateTime<Utc>,
    /// `account.Password` in TL bytes.
    pub password_parameters: Option<Vec<u8>>,
    /// The hint of the account's owner.
    pub password_hint: Option<String>,
    /// A proof that waits to be checked.
    pub proof: Option<PasswordProof>,
    /// What went wrong, in Russian.
    pub error: Option<String>,
    /// The account, once completed.
    pub account: Option<AccountId>,
}

/// What a new login needs.
#[derive(Clone, Debug)]
pub struct NewLogin {
    /// Public id, at least 16 unguessable characters.
    pub id: String,
    /// Tenant.
    pub client: ClientId,
    /// Project.
    pub project: ProjectId,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

struct Row {
    number: i32,
    id: String,
    client_id: i32,
    project_id: i32,
    stage: String,
    sealed_key: Option<String>,
    sealed_url: Option<String>,
    token_expires_at: Option<DateTime<Utc>>,
    expires_at: DateTime<Utc>,
    password_parameters: Option<Vec<u8>>,
    password_hint: Option<String>,
    proof: Option<serde_json::Value>,
    error: Option<String>,
    account_id: Option<i32>,
}

impl TryFrom<Row> for Login {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let stage = LoginStage::parse(&row.stage).ok_or_else(|| Error::Unreadable(format!("login stage {}", row.stage)))?;
        let proof = row
            .proof
            .map(serde_json::from_value)
            .transpose()
            .map_err(|error| Error::Unreadable(format!("login proof: {error}")))?;
        Ok(Self {
            number: LoginNumber(row.number),
            id: row.id,
            client: ClientId(row.client_id),
            project: ProjectId(row.project_id),
            stage,
            sealed_key: row.sealed_key,
            sealed_url: row.sealed_url,
            token_expires_at: row.token_expires_at,
            expires_at: row.expires_at,
            password_parameters: row.password_parameters,
            password_hint: row.password_hint,
            proof,
            error: row.error,
            account: row.account_id.map(AccountId),
        })
    }
}

/// Writes a new login in stage `starting`.
pub async fn create(tx: &mut Tx, login: &NewLogin) -> Result<LoginNumber> {
    let number = sqlx::query_scalar!(
        "insert into personal_telegram_logins (id, client_id, project_id, stage, expires_at) values ($1, $2, $3, 'starting', $4) returning number",
        login.id,
        login.client.0,
        login.project.0,
        login.expires_at
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(LoginNumber(number))
}

/// A tenant's login by its public id.
pub async fn find(pool: &PgPool, client: ClientId, id: &str) -> Result<Option<Login>> {
    sqlx::query_as!(
        Row,
        "select number, id, client_id, project_id, stage, sealed_key, sealed_url, token_expires_at, expires_at, password_parameters, password_hint,
                proof, error, account_id
           from personal_telegram_logins where id = $1 and client_id = $2",
        id,
        client.0
    )
    .fetch_optional(pool)
    .await?
    .map(Login::try_from)
    .transpose()
}

/// A login by its number, without a lock.
pub async fn load(pool: &PgPool, number: LoginNumber) -> Result<Option<Login>> {
    sqlx::query_as!(
        Row,
        "select number, id, client_id, project_id, stage, sealed_key, sealed_url, token_expires_at, expires_at, password_parameters, password_hint,
                proof, error, account_id
           from personal_telegram_logins where number = $1",
        number.0
    )
    .fetch_optional(pool)
    .await?
    .map(Login::try_from)
    .transpose()
}

/// A login by its number, locked until the transaction ends.
pub async fn lock(tx: &mut Tx, number: LoginNumber) -> Result<Option<Login>> {
    sqlx::query_as!(
        Row,
        "select number, id, client_id, project_id, stage, sealed_key, sealed_url, token_expires_at, expires_at, password_parameters, password_hint,
                proof, error, account_id
           from personal_telegram_logins where number = $1 for update",
        number.0
    )
    .fetch_optional(tx.conn())
    .await?
    .map(Login::try_from)
    .transpose()
}

/// Writes a locked login back. A final stage takes every secret with it.
pub async fn save(tx: &mut Tx, login: &Login) -> Result<()> {
    let proof = login.proof.as_ref().map(|proof| serde_json::to_value(proof).expect("a proof is plain data"));
    let keep = !login.stage.is_final();
    sqlx::query!(
        "update personal_telegram_logins set stage = $2, sealed_key = $3, sealed_url = $4, token_expires_at = $5, expires_at = $6,
                password_parameters = $7, password_hint = $8, proof = $9, error = $10, account_id = $11, updated_at = now()
          where number = $1",
        login.number.0,
        login.stage.name(),
        login.sealed_key.as_ref().filter(|_| keep),
        login.sealed_url.as_ref().filter(|_| keep),
        login.token_expires_at,
        login.expires_at,
        login.password_parameters.as_ref().filter(|_| keep),
        login.password_hint,
        proof.filter(|_| keep),
        login.error,
        login.account.map(|account| account.0)
    )
    .execute(tx.conn())
    .await?;
    tx.tell_after_commit(StatusEvent::Login {
        login_number: login.number,
        status: login.stage.status(),
        account_id: login.account,
        error: login.error.clone(),
    });
    Ok(())
}

/// Hands in a proof for a login that waits for its password. False: it waits for none (any more).
pub async fn submit_proof(tx: &mut Tx, number: LoginNumber, proof: &PasswordProof) -> Result<bool> {
    let proof = serde_json::to_value(proof).expect("a proof is plain data");
    let done = sqlx::query!(
        "update personal_telegram_logins set stage = 'checking_password', proof = $2, error = null, updated_at = now()
          where number = $1 and stage = 'password_required' and expires_at > now()",
        number.0,
        proof
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Cancels a tenant's login. `None`: there is no such login; a login that had ended stays as it is.
pub async fn cancel(tx: &mut Tx, client: ClientId, id: &str) -> Result<Option<LoginNumber>> {
    let number = sqlx::query_scalar!(
        "update personal_telegram_logins set
                stage = case when stage in ('completed', 'failed', 'expired', 'cancelled') then stage else 'cancelled' end,
                error = case when stage in ('completed', 'failed', 'expired', 'cancelled') then error else 'Вход отменён' end,
                sealed_key = null, sealed_url = null, password_parameters = null, proof = null, updated_at = now()
          where id = $1 and client_id = $2 returning number",
        id,
        client.0
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(number.map(LoginNumber))
}

/// Ends every login whose time has run out. Returns how many.
pub async fn expire_overdue(pool: &PgPool) -> Result<u64> {
    let done = sqlx::query!(
        "update personal_telegram_logins set stage = 'expired', sealed_key = null, sealed_url = null, password_parameters = null, proof = null, updated_at = now()
          where stage not in ('completed', 'failed', 'expired', 'cancelled') and expires_at < now() - interval '5 seconds'"
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

/// Deletes logins that ended long ago, and their leases.
pub async fn purge(pool: &PgPool) -> Result<u64> {
    let done = sqlx::query!(
        "with old as (
           delete from personal_telegram_logins where number in (
             select number from personal_telegram_logins
              where stage in ('completed', 'failed', 'expired', 'cancelled') and updated_at < now() - interval '1 day' limit 500)
           returning number)
         delete from personal_telegram_leases l using old where l.class = $1 and l.object = old.number",
        tuberry_domain::ports::KeyClass::Login as i32
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

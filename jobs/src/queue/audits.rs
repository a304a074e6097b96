//! What people did to jobs, for those who may see it. [`super::control`] writes it.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tuberry_domain::ClientId;
use tuberry_storage::Result;

/// One thing that somebody did.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When.
    pub at: DateTime<Utc>,
    /// The address of who did it; `None`: somebody of the platform, whom tenants do not know, or a user that is gone.
    pub user: Option<String>,
    /// `retry`, `retry_all`, `cancel`, `run_now`, `delete`, `pause` or `resume`.
    pub action: String,
    /// To which job.
    pub job: Option<String>,
    /// `reason` of a cancel, `kind` of a pause.
    pub details: serde_json::Value,
    /// How many jobs it changed; of a pause, whether it was one.
    pub affected: i64,
}

/// The newest entries of a client's people (`None`: of everybody), at most `limit`.
pub async fn newest(pool: &PgPool, client: Option<ClientId>, limit: i64) -> Result<Vec<Entry>> {
    let entries = sqlx::query_as!(
        Entry,
        r#"select a.at, u.email as user, a.action, a.job_id as job, a.details, a.affected
             from queue.audit a left join users u on u.id = a.user_id
            where $1::int is null or a.client_id = $1
            order by a.id desc limit $2"#,
        client.map(|client| client.0),
        limit
    );
    Ok(entries.fetch_all(pool).await?)
}

/// What was done to one job, the newest first, at most `limit`. The caller knows that the job is within the client's reach.
pub async fn of_job(pool: &PgPool, client: Option<ClientId>, job: &str, limit: i64) -> Result<Vec<Entry>> {
    let entries = sqlx::query_as!(
        Entry,
        r#"select a.at, case when $1::int is null or a.client_id = $1 then u.email end as user, a.action, a.job_id as job, a.details, a.affected
             from queue.audit a left join users u on u.id = a.user_id
            where a.job_id = $2
            order by a.id desc limit $3"#,
        client.map(|client| client.0),
        job,
        limit
    );
    Ok(entries.fetch_all(pool).await?)
}

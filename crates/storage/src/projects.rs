//! Projects as their owners see them.

use crate::{Result, Tx, dialog_moves};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgExecutor, PgPool};
use tuberry_domain::{BotId, ClientId, ProjectId};
use utoipa::ToSchema;

/// A project; serialised as the REST interface shows it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Project {
    /// `projects.id`.
    #[schema(value_type = i32, example = 1)]
    pub id: ProjectId,
    /// Tenant.
    #[schema(value_type = i32, example = 1)]
    pub client_id: ClientId,
    /// Name.
    #[schema(example = "Ромашка")]
    pub name: String,
    /// Free text.
    #[schema(example = "Розница")]
    pub description: Option<String>,
    /// `active`, or whatever the rest of the product writes.
    #[schema(example = "active")]
    pub status: String,
    /// The managing bot (`bots.id`).
    pub bot_id: Option<i32>,
    /// The managing bot's username.
    #[schema(example = "romashka_bot")]
    pub bot_username: Option<String>,
    /// The managing bot's working group, in marked form.
    #[schema(example = "-1001234567890")]
    pub group_chat_id: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: Option<DateTime<Utc>>,
}

/// What may be changed of a project; `None` leaves it alone.
#[derive(Clone, Debug, Default)]
pub struct ProjectChange {
    /// New name.
    pub name: Option<String>,
    /// New description.
    pub description: Option<String>,
}

/// A tenant's projects, oldest first.
pub async fn list(pool: &PgPool, client: ClientId) -> Result<Vec<Project>> {
    let projects = sqlx::query_as!(
        Project,
        r#"select p.id, p.client_id, p.name, p.description, p.status, p.bot_id, b.bot_username as "bot_username?", b.group_chat_id as "group_chat_id?",
                  p.created_at at time zone 'utc' as "created_at!", p.updated_at at time zone 'utc' as updated_at
             from projects p left join bots b on b.id = p.bot_id
            where p.client_id = $1 order by p.id limit 1000"#,
        client.0
    );
    Ok(projects.fetch_all(pool).await?)
}

/// A tenant's project.
pub async fn find(executor: impl PgExecutor<'_>, client: ClientId, project: ProjectId) -> Result<Option<Project>> {
    let project = sqlx::query_as!(
        Project,
        r#"select p.id, p.client_id, p.name, p.description, p.status, p.bot_id, b.bot_username as "bot_username?", b.group_chat_id as "group_chat_id?",
                  p.created_at at time zone 'utc' as "created_at!", p.updated_at at time zone 'utc' as updated_at
             from projects p left join bots b on b.id = p.bot_id
            where p.id = $1 and p.client_id = $2"#,
        project.0,
        client.0
    );
    Ok(project.fetch_optional(executor).await?)
}

/// Creates an active project with the old system's defaults.
pub async fn create(tx: &mut Tx, client: ClientId, name: &str, description: Option<&str>) -> Result<ProjectId> {
    let id = sqlx::query_scalar!(
        "insert into projects (created_at, client_id, name, description, status, require_reply_for_sources, hide_system_messages,
                               auto_reply_enabled, auto_reply_mode, auto_reply_always)
         values (now() at time zone 'utc', $1, $2, $3, 'active', false, true, false, 'always', false)
         returning id",
        client.0,
        name,
        description
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(ProjectId(id))
}

/// Changes a tenant's project, all but its bot. False: there is no such project.
pub async fn update(tx: &mut Tx, client: ClientId, project: ProjectId, change: &ProjectChange) -> Result<bool> {
    let done = sqlx::query!(
        "update projects set name = coalesce($3, name), description = coalesce($4, description), updated_at = now() at time zone 'utc'
          where id = $1 and client_id = $2",
        project.0,
        client.0,
        change.name,
        change.description
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Binds a bot of the same tenant to a project, in place of the project's former one; the project's dialogs follow. A bot serves one
/// project. False: the bot serves another one.
pub async fn bind_bot(tx: &mut Tx, project: ProjectId, bot: BotId) -> Result<bool> {
    // Two requests that bind one bot would both find it free; the bot's row puts them in order.
    sqlx::query!("select id from bots where id = $1 for no key update", bot.0).fetch_optional(tx.conn()).await?;
    dialog_moves::lock_followers(tx, project, bot).await?;
    let done = sqlx::query!(
        "update projects set bot_id = $2::int, updated_at = now() at time zone 'utc'
          where id = $1 and not exists (select from projects o where o.bot_id = $2 and o.id <> $1)",
        project.0,
        bot.0
    )
    .execute(tx.conn())
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    dialog_moves::follow_bot(tx, project, bot).await?;
    Ok(true)
}

/// Takes its bot from a project. Dialogs stay with the bot until the project gets another one.
pub async fn take_bot(tx: &mut Tx, project: ProjectId) -> Result<()> {
    sqlx::query!(
        "update projects set bot_id = null, updated_at = now() at time zone 'utc' where id = $1 and bot_id is not null",
        project.0
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Takes a bot from the project that it serves, if any.
pub async fn free_bot(tx: &mut Tx, bot: BotId) -> Result<()> {
    sqlx::query!("update projects set bot_id = null, updated_at = now() at time zone 'utc' where bot_id = $1", bot.0)
        .execute(tx.conn())
        .await?;
    Ok(())
}

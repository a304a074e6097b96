//! What the portal's overview shows of a tenant, and whether it has changed.

use crate::Result;
use sqlx::PgPool;
use tuberry_domain::{ClientId, ProjectId};

/// A project at a glance.
#[derive(Clone, Debug)]
pub struct ProjectCard {
    /// `projects.id`.
    pub id: ProjectId,
    /// Name.
    pub name: String,
    /// The managing bot's username.
    pub bot_username: Option<String>,
    /// The bot can do its work; `None` without a bot.
    pub bot_works: Option<bool>,
    /// The working group in marked form.
    pub group: Option<String>,
    /// The working group's title, where it is known.
    pub group_title: Option<String>,
    /// Personal accounts.
    pub accounts: i64,
    /// Those of them that wait for somebody to act.
    pub accounts_in_error: i64,
    /// Those of them that work but have something to say (`last_error`).
    pub accounts_in_trouble: i64,
    /// Those of them that have never been connected so far, and may be soon.
    pub accounts_coming: i64,
    /// Open dialogs.
    pub dialogs: i64,
    /// Those of them whose customer waits for an answer.
    pub waiting: i64,
}

impl ProjectCard {
    /// Bot and working group are there: accounts may be connected.
    pub fn is_ready(&self) -> bool {
        self.bot_username.is_some() && self.group.is_some()
    }
}

/// A tenant's projects, oldest first; `project`: that one only.
pub async fn projects(pool: &PgPool, client: ClientId, project: Option<ProjectId>) -> Result<Vec<ProjectCard>> {
    let rows = sqlx::query!(
        r#"select p.id, p.name, b.bot_username as "bot_username?", b.id as "bot?", b.status::text as "bot_status?",
                  nullif(trim(b.group_chat_id), '') as group_chat, g.title as "group_title?",
                  coalesce(a.total, 0) as "accounts!", coalesce(a.errors, 0) as "errors!", coalesce(a.troubles, 0) as "troubles!",
                  coalesce(a.coming, 0) as "coming!",
                  coalesce(d.total, 0) as "dialogs!", coalesce(d.waiting, 0) as "waiting!"
             from projects p
             left join bots b on b.id = p.bot_id
             left join lateral (select t.title from telegram_chats t where t.bot_id = b.id and t.chat_id = trim(b.group_chat_id) limit 1) g on true
             left join lateral (select count(*) as total, count(*) filter (where x.status = 'error') as errors,
                                       count(*) filter (where x.status = 'active' and x.last_error is not null) as troubles,
                                       count(*) filter (where x.status <> 'error' and x.last_connected_at is null) as coming
                                  from personal_telegram_accounts x where x.client_id = p.client_id and x.project_id = p.id) a on true
             left join lateral (select count(*) as total, count(*) filter (where o.waiting) as waiting
                                  from dialogs y left join personal_telegram_dialogs o on o.dialog_id = y.id
                                 where y.client_id = p.client_id and y.source = 'personal_telegram' and y.project_id = p.id and y.state = 'active') d on true
            where p.client_id = $1 and ($2::int is null or p.id = $2)
            order by p.id limit 1000"#,
        client.0,
        project.map(|project| project.0)
    )
    .fetch_all(pool)
    .await?;
    let card = rows.into_iter().map(|row| ProjectCard {
        id: ProjectId(row.id),
        name: row.name,
        bot_username: row.bot.map(|bot| row.bot_username.unwrap_or_else(|| bot.to_string())),
        bot_works: row.bot_status.map(|status| status != "error"),
        group: row.group_chat,
        group_title: row.group_title,
        accounts: row.accounts,
        accounts_in_error: row.errors,
        accounts_in_trouble: row.troubles,
        accounts_coming: row.coming,
        dialogs: row.dialogs,
        waiting: row.waiting,
    });
    Ok(card.collect())
}

/// Changes with everything that the pages of a project (`None`: of all) show of accounts, bots, groups and names; not with its dialogs.
pub async fn fingerprint(pool: &PgPool, client: ClientId, project: Option<ProjectId>) -> Result<String> {
    let print = sqlx::query_scalar!(
        r#"select md5(concat(
             (select string_agg(row(a.id, a.project_id, a.status, a.last_error, a.display_name, a.username, a.phone, a.telegram_user_id, a.accepts_private,
                                    a.accepts_groups, a.accepts_channels, date_trunc('minute', a.last_connected_at), x.address)::text, '' order by a.id)
                from personal_telegram_accounts a left join personal_telegram_proxies x on x.account_id = a.id
               where a.client_id = $1 and ($2::int is null or a.project_id = $2)), '/',
             (select string_agg(row(p.id, p.name, p.description, p.bot_id)::text, '' order by p.id)
                from projects p where p.client_id = $1 and ($2::int is null or p.id = $2)), '/',
             (select string_agg(row(b.id, b.bot_username, b.status, b.group_chat_id)::text, '' order by b.id) from bots b where b.client_id = $1), '/',
             (select string_agg(row(c.id, c.chat_id, c.chat_type, c.title, c.is_forum, c.is_active)::text, '' order by c.id)
                from telegram_chats c join bots b on b.id = c.bot_id where b.client_id = $1))) as "print!""#,
        client.0,
        project.map(|project| project.0)
    );
    Ok(print.fetch_one(pool).await?)
}

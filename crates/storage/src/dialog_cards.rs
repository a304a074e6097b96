//! Dialogs as the portal shows them: with the names of what they belong to and their last message. The list follows the index on a tenant's
//! activity and looks up the last messages of one page only.

use crate::dialog_pages::DialogPosition;
use crate::{Result, reading};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tuberry_domain::{AccountId, ClientId, DialogId, ProjectId};

/// Longest name to look for, in characters.
const SEARCH_LIMIT: usize = 100;

/// A dialog at a glance.
#[derive(Clone, Debug)]
pub struct DialogCard {
    /// `dialogs.id`.
    pub id: DialogId,
    /// The customer's name.
    pub name: Option<String>,
    /// The customer's username, without `@`.
    pub username: Option<String>,
    /// The project's name.
    pub project: Option<String>,
    /// What the account is called; `None`: it was removed.
    pub account: Option<String>,
    /// The customer waits for an answer.
    pub waiting: bool,
    /// Place in the list.
    pub active_at: DateTime<Utc>,
    /// The last message in either direction.
    pub last: Option<LastMessage>,
}

impl DialogCard {
    /// For the page behind this dialog.
    pub fn position(&self) -> DialogPosition {
        DialogPosition { active_at: self.active_at, id: self.id }
    }
}

/// The last message of a dialog.
#[derive(Clone, Debug)]
pub struct LastMessage {
    /// When it was stored.
    pub at: DateTime<Utc>,
    /// Its first line, of at most 160 characters.
    pub line: String,
    /// From us to the customer.
    pub outgoing: bool,
    /// It did not arrive.
    pub failed: bool,
}

/// Which dialogs.
#[derive(Clone, Debug, Default)]
pub struct CardFilter {
    /// Whose name or username holds this text, in whatever case.
    pub name: Option<String>,
    /// Of this project only.
    pub project: Option<ProjectId>,
    /// Of this account only.
    pub account: Option<AccountId>,
    /// Only those whose customer waits for an answer.
    pub waiting: bool,
}

impl CardFilter {
    /// `None`: there is nothing to look for.
    fn pattern(&self) -> Option<String> {
        self.name.as_deref().and_then(containing)
    }
}

/// The `ilike` pattern of what holds `name`, whatever is in it. `None`: there is nothing to look for.
pub(crate) fn containing(name: &str) -> Option<String> {
    let name = Some(name.trim().trim_start_matches(['@', '+'])).filter(|name| !name.is_empty())?;
    let literal: String = name.chars().take(SEARCH_LIMIT).fold(String::new(), |mut literal, letter| {
        if matches!(letter, '\\' | '%' | '_') {
            literal.push('\\');
        }
        // PostgreSQL knows no NUL; no name holds one.
        literal.push(if letter == '\0' { ' ' } else { letter });
        literal
    });
    Some(format!("%{literal}%"))
}

/// A tenant's dialogs behind `after`, the most recently active first, at most `limit`.
pub async fn list(
    pool: &PgPool,
    client: ClientId,
    filter: &CardFilter,
    after: Option<DialogPosition>,
    limit: i64,
) -> Result<Vec<DialogCard>> {
    let mut tx = reading(pool).await?;
    let rows = sqlx::query!(
        r#"with page as materialized (
             select d.id, d.project_id, d.personal_account_id, d.external_display_name, d.external_username,
                    coalesce(d.last_message_at, d.created_at) as active_at, coalesce(o.waiting, false) as waiting
               from dialogs d left join personal_telegram_dialogs o on o.dialog_id = d.id
              where d.client_id = $1 and d.source = 'personal_telegram'
                and ($2::int is null or d.project_id = $2)
                and ($3::int is null or d.personal_account_id = $3)
                and (not $4 or o.waiting)
                and ($5::text is null or d.external_display_name ilike $5 or d.external_username ilike $5)
                and ($6::timestamptz is null
                     or (coalesce(d.last_message_at, d.created_at), d.id) < ($6::timestamptz at time zone 'utc', $7::int))
              order by coalesce(d.last_message_at, d.created_at) desc, d.id desc limit $8)
           select p.id, p.external_display_name as name, p.external_username as username, j.name as "project?",
                  coalesce(a.display_name, '@' || a.username, a.phone, a.id::text) as account, p.waiting as "waiting!",
                  p.active_at at time zone 'utc' as "active_at!", m.created_at at time zone 'utc' as last_at, m.line as "line?",
                  m.outgoing as "outgoing?", m.failed as "failed?"
             from page p
             left join projects j on j.id = p.project_id
             left join personal_telegram_accounts a on a.id = p.personal_account_id
             left join lateral (
                 select x.created_at, left(split_part(x.body, E'\n', 1), 160) as line, x.direction = 'personal_telegram_out' as outgoing,
                        x.status = 'failed' as failed
                   from messages x where x.dialog_id = p.id order by x.id desc limit 1) m on true
            order by p.active_at desc, p.id desc"#,
        client.0,
        filter.project.map(|project| project.0),
        filter.account.map(|account| account.0),
        filter.waiting,
        filter.pattern(),
        after.map(|position| position.active_at),
        after.map(|position| position.id.0),
        limit
    );
    let rows = rows.fetch_all(&mut *tx).await?;
    let cards = rows.into_iter().map(|row| DialogCard {
        id: DialogId(row.id),
        name: row.name,
        username: row.username,
        project: row.project,
        account: row.account,
        waiting: row.waiting,
        active_at: row.active_at,
        last: row.last_at.map(|at| LastMessage {
            at,
            line: row.line.unwrap_or_default(),
            outgoing: row.outgoing.unwrap_or_default(),
            failed: row.failed.unwrap_or_default(),
        }),
    });
    Ok(cards.collect())
}

/// What stands above a dialog's messages.
#[derive(Clone, Debug)]
pub struct DialogHead {
    /// The customer's name.
    pub name: Option<String>,
    /// The customer's username, without `@`.
    pub username: Option<String>,
    /// The project.
    pub project: Option<(ProjectId, String)>,
    /// What the account is called; `None`: it was removed.
    pub account: Option<String>,
    /// The customer waits for an answer.
    pub waiting: bool,
    /// A group or a channel: several people may write.
    pub many: bool,
    /// The working group in marked form.
    pub group: Option<String>,
    /// The topic in the working group.
    pub topic: Option<String>,
}

/// A tenant's dialog.
pub async fn head(pool: &PgPool, client: ClientId, dialog: DialogId) -> Result<Option<DialogHead>> {
    let row = sqlx::query!(
        r#"select d.external_display_name as name, d.external_username as username, j.id as "project_id?", j.name as "project?",
                  coalesce(a.display_name, '@' || a.username, a.phone, a.id::text) as account, coalesce(o.waiting, false) as "waiting!",
                  coalesce(d.external_reference like '-%', false) as "many!", d.telegram_chat_id, d.telegram_topic_id
             from dialogs d
             left join personal_telegram_dialogs o on o.dialog_id = d.id
             left join projects j on j.id = d.project_id
             left join personal_telegram_accounts a on a.id = d.personal_account_id
            where d.id = $1 and d.client_id = $2 and d.source = 'personal_telegram'"#,
        dialog.0,
        client.0
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| DialogHead {
        name: row.name,
        username: row.username,
        project: row.project_id.map(ProjectId).zip(row.project),
        account: row.account,
        waiting: row.waiting,
        many: row.many,
        group: row.telegram_chat_id,
        topic: row.telegram_topic_id,
    }))
}

/// An account to choose from: its id, and what it is called.
pub type AccountChoice = (AccountId, String);

/// A tenant's accounts, of one project or of all, by name, at most `limit`; `chosen` is among them if it is the tenant's at all.
pub async fn accounts(
    pool: &PgPool,
    client: ClientId,
    project: Option<ProjectId>,
    chosen: Option<AccountId>,
    limit: i64,
) -> Result<Vec<AccountChoice>> {
    let rows = sqlx::query!(
        r#"select id, coalesce(display_name, '@' || username, phone, id::text) as "name!" from personal_telegram_accounts
            where client_id = $1 and ($2::int is null or project_id = $2 or id = $3)
            order by id is not distinct from $3 desc, 2, id limit $4"#,
        client.0,
        project.map(|project| project.0),
        chosen.map(|account| account.0),
        limit
    );
    Ok(rows.fetch_all(pool).await?.into_iter().map(|row| (AccountId(row.id), row.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(name: &str) -> Option<String> {
        CardFilter { name: Some(name.to_owned()), ..CardFilter::default() }.pattern()
    }

    #[test]
    fn what_is_looked_for_means_itself() {
        assert_eq!(pattern("Анна").as_deref(), Some("%Анна%"));
        assert_eq!(pattern(" @anna ").as_deref(), Some("%anna%"));
        assert_eq!(pattern("50%_\\\0").as_deref(), Some("%50\\%\\_\\\\ %"));
        assert_eq!(pattern("   "), None);
        assert_eq!(pattern(&"я".repeat(500)).unwrap().chars().count(), SEARCH_LIMIT + 2);
    }
}

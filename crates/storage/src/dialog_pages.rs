//! Dialogs and their messages, page by page. Pages follow the position of the last row seen, not a count: what comes in meanwhile
//! neither repeats nor skips anything.

use crate::{Result, words};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use tuberry_domain::{AccountId, BotId, ClientId, DialogId, MessageId, ProjectId};
use utoipa::ToSchema;
use utoipa::openapi::Object;

/// A dialog; serialised as the REST interface shows it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Dialog {
    /// `dialogs.id`.
    #[schema(value_type = i32, example = 1)]
    pub id: DialogId,
    /// The project (`projects.id`).
    pub project_id: Option<i32>,
    /// The account that the customer writes to; null when it was removed.
    pub personal_account_id: Option<i32>,
    /// The managing bot.
    #[schema(value_type = i32, example = 1)]
    pub bot_id: BotId,
    /// `active` or `closed`.
    #[schema(schema_with = dialog_state)]
    pub state: String,
    /// The customer's chat id in marked form.
    #[schema(example = "4815162342")]
    pub chat_id: Option<String>,
    /// The customer's name.
    #[schema(example = "Иван")]
    pub name: Option<String>,
    /// The customer's username.
    #[schema(example = "ivan")]
    pub username: Option<String>,
    /// The topic in the working group.
    #[schema(example = "17")]
    pub telegram_topic_id: Option<String>,
    /// The working group.
    #[schema(example = "-1001234567890")]
    pub telegram_chat_id: Option<String>,
    /// The customer waits for an answer.
    pub waiting: bool,
    /// Last message in either direction.
    pub last_message_at: Option<DateTime<Utc>>,
    /// When it began.
    pub created_at: DateTime<Utc>,
}

/// Which dialogs.
#[derive(Clone, Copy, Debug, Default)]
pub struct DialogFilter {
    /// Of this project only.
    pub project: Option<ProjectId>,
    /// Of this account only.
    pub account: Option<AccountId>,
}

/// Place of a dialog in the list, which is ordered by last activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DialogPosition {
    /// [`Dialog::active_at`].
    pub active_at: DateTime<Utc>,
    /// [`Dialog::id`].
    pub id: DialogId,
}

impl Dialog {
    /// When something last happened in it.
    pub fn active_at(&self) -> DateTime<Utc> {
        self.last_message_at.unwrap_or(self.created_at)
    }
}

/// A tenant's personal dialogs behind `after`, the most recently active first, at most `limit`.
pub async fn list(
    pool: &PgPool,
    client: ClientId,
    filter: DialogFilter,
    after: Option<DialogPosition>,
    limit: i64,
) -> Result<Vec<Dialog>> {
    let dialogs = sqlx::query_as!(
        Dialog,
        r#"select d.id, d.project_id, d.personal_account_id, d.bot_id, d.state::text as "state!", d.external_reference as chat_id,
                  d.external_display_name as name, d.external_username as username, d.telegram_topic_id, d.telegram_chat_id,
                  coalesce(o.waiting, false) as "waiting!", d.last_message_at at time zone 'utc' as last_message_at,
                  d.created_at at time zone 'utc' as "created_at!"
             from dialogs d left join personal_telegram_dialogs o on o.dialog_id = d.id
            where d.client_id = $1 and d.source = 'personal_telegram'
              and ($2::int is null or d.project_id = $2)
              and ($3::int is null or d.personal_account_id = $3)
              and ($4::timestamptz is null or (coalesce(d.last_message_at, d.created_at), d.id) < ($4::timestamptz at time zone 'utc', $5::int))
            order by coalesce(d.last_message_at, d.created_at) desc, d.id desc limit $6"#,
        client.0,
        filter.project.map(|project| project.0),
        filter.account.map(|account| account.0),
        after.map(|position| position.active_at),
        after.map(|position| position.id.0),
        limit
    );
    Ok(dialogs.fetch_all(pool).await?)
}

/// A message of a dialog; serialised as the REST interface shows it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Message)]
pub struct DialogMessage {
    /// `messages.id`.
    #[schema(value_type = i32, example = 1)]
    pub id: MessageId,
    /// Its dialog.
    #[schema(value_type = i32, example = 1)]
    pub dialog_id: DialogId,
    /// `personal_telegram_in` or `personal_telegram_out`.
    #[schema(schema_with = message_direction)]
    pub direction: String,
    /// Who wrote an incoming one; the REST interface does not show it.
    #[serde(skip)]
    pub sender: Option<String>,
    /// The text as shown.
    #[schema(example = "Здравствуйте! Есть в наличии?")]
    pub body: String,
    /// `pending`, `sent`, `delivered` or `failed`.
    #[schema(schema_with = message_status)]
    pub status: String,
    /// Why it failed, in Russian.
    #[schema(example = json!(null))]
    pub error: Option<String>,
    /// Its id on the side it came from.
    #[schema(example = "5120")]
    pub source_message_id: Option<String>,
    /// Its id on the other side.
    #[schema(example = "208")]
    pub telegram_message_id: Option<String>,
    /// When it was stored.
    pub created_at: DateTime<Utc>,
    /// When it was sent on.
    pub sent_at: Option<DateTime<Utc>>,
    /// When the customer had it.
    pub delivered_at: Option<DateTime<Utc>>,
}

fn dialog_state() -> Object {
    words("Whether it goes on.", ["active", "closed"])
}

fn message_direction() -> Object {
    words("From the customer, or to the customer.", ["personal_telegram_in", "personal_telegram_out"])
}

fn message_status() -> Object {
    words("How far it came.", ["pending", "sent", "delivered", "failed"])
}

/// Messages of a tenant's dialog before `before`, the newest first, at most `limit`. `None`: there is no such dialog.
pub async fn messages(
    pool: &PgPool,
    client: ClientId,
    dialog: DialogId,
    before: Option<MessageId>,
    limit: i64,
) -> Result<Option<Vec<DialogMessage>>> {
    let ours = sqlx::query_scalar!(
        r#"select exists (select from dialogs where id = $1 and client_id = $2 and source = 'personal_telegram') as "ours!""#,
        dialog.0,
        client.0
    );
    if !ours.fetch_one(pool).await? {
        return Ok(None);
    }
    let messages = sqlx::query_as!(
        DialogMessage,
        r#"select m.id, m.dialog_id, m.direction::text as "direction!", o.sender_name as "sender?", m.body, m.status::text as "status!", o.error as "error?",
                  m.source_message_id, m.telegram_message_id, m.created_at at time zone 'utc' as "created_at!",
                  m.sent_at at time zone 'utc' as sent_at, m.delivered_at at time zone 'utc' as delivered_at
             from messages m left join personal_telegram_messages o on o.message_id = m.id
            where m.dialog_id = $1 and ($2::int is null or m.id < $2)
            order by m.id desc limit $3"#,
        dialog.0,
        before.map(|message| message.0),
        limit
    );
    Ok(Some(messages.fetch_all(pool).await?))
}

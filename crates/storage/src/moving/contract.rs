//! The shared tables as an existing Tuberry has them. `!`: not null. A column without a type may have any.

/// Enum types and their values. What stands behind `+` may be missing: it came with personal accounts.
pub(super) const ENUMS: &[(&str, &[&str])] = &[
    ("userrole", &["owner", "manager", "admin"]),
    ("botstatus", &["active", "inactive", "error"]),
    ("personaltelegramaccountstatus", &["pending", "active", "error"]),
    ("dialogstate", &["active", "closed"]),
    (
        "messagedirection",
        &["avito", "telegram", "telegram_source_in", "telegram_source_out", "+personal_telegram_in", "+personal_telegram_out"],
    ),
    ("messagestatus", &["pending", "sent", "delivered", "failed"]),
    ("autoreplymode", &["always", "first"]),
];

const EVERYWHERE: &str = "id integer!, created_at ts!, updated_at ts";

const AUTO_REPLY: &str = "filter_keywords varchar, hide_system_messages bool!, auto_reply_enabled bool!, auto_reply_mode autoreplymode!, \
    auto_reply_always bool!, auto_reply_start_time time, auto_reply_end_time time, auto_reply_timezone varchar, auto_reply_text varchar";

const TABLES: &[(&str, &[&str])] = &[
    ("clients", &["name varchar!, status varchar!, plan varchar!, require_reply_for_avito bool!", AUTO_REPLY]),
    (
        "users",
        &[
            "client_id integer, telegram_user_id varchar, email varchar, full_name varchar, role userrole!, hashed_password varchar, \
           is_active bool!",
        ],
    ),
    (
        "bots",
        &[
            "client_id integer!, token varchar!, bot_username varchar, status botstatus!, group_chat_id varchar, topic_mode bool!, \
           webhook_secret varchar",
        ],
    ),
    (
        "projects",
        &[
            "client_id integer!, name varchar!, slug varchar, description varchar, status varchar!, bot_id integer, \
             require_reply_for_sources bool!, topic_intro_template varchar",
            AUTO_REPLY,
        ],
    ),
    (
        PERSONAL_ACCOUNTS,
        &[
            "client_id integer!, project_id integer!, display_name varchar, username varchar, phone varchar, telegram_user_id varchar, \
           status personaltelegramaccountstatus!, session_payload varchar, accepts_private bool!, accepts_groups bool!, \
           accepts_channels bool!, last_connected_at ts, last_error varchar",
        ],
    ),
    (
        "dialogs",
        &["client_id integer!, project_id integer, source varchar(32)!, avito_account_id, telegram_source_id, \
           +personal_account_id integer, bot_id integer!, avito_dialog_id varchar!, telegram_topic_id varchar, telegram_chat_id varchar, \
           state dialogstate!, last_message_at ts, topic_intro_sent bool!, auto_reply_last_sent_at ts, auto_reply_scheduled_at ts, \
           external_reference varchar, external_display_name varchar, external_username varchar"],
    ),
    (
        "messages",
        &[
            "dialog_id integer!, direction messagedirection!, source_message_id varchar, telegram_message_id varchar, body varchar!, \
           attachments varchar, status messagestatus!, sent_at ts, delivered_at ts, retries integer!, is_auto_reply bool!, \
           is_client_message bool!",
        ],
    ),
    (
        "telegram_chats",
        &[
            "bot_id integer!, chat_id varchar!, chat_type varchar, title varchar, username varchar, is_forum bool, is_active bool!, \
           last_status varchar, joined_at ts, left_at ts",
        ],
    ),
];

/// The one table that a Tuberry from before personal accounts lacks.
pub(super) const PERSONAL_ACCOUNTS: &str = "personal_telegram_accounts";

/// A column as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub name: &'static str,
    /// As `format_type` writes it.
    pub kind: Option<&'static str>,
    pub not_null: bool,
    /// It came with personal accounts, and may be missing.
    pub recent: bool,
}

/// Every shared table with its columns.
pub(super) fn tables() -> impl Iterator<Item = (&'static str, Vec<Column>)> {
    TABLES.iter().map(|(table, parts)| {
        let columns = std::iter::once(&EVERYWHERE).chain(*parts).flat_map(|part| part.split(',')).map(column).collect();
        (*table, columns)
    })
}

/// Names of the shared tables.
pub(super) fn names() -> Vec<String> {
    TABLES.iter().map(|(table, _)| (*table).to_owned()).collect()
}

fn column(text: &'static str) -> Column {
    let text = text.trim();
    let (name, kind) = text.split_once(' ').map_or((text, None), |(name, kind)| (name, Some(kind.trim())));
    let kind = kind.map(|kind| match kind.trim_end_matches('!') {
        "ts" => "timestamp without time zone",
        "time" => "time without time zone",
        "bool" => "boolean",
        "varchar" => "character varying",
        "varchar(32)" => "character varying(32)",
        other => other,
    });
    Column { name: name.trim_start_matches('+'), kind, not_null: text.ends_with('!'), recent: name.starts_with('+') }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read_as_they_are_written() {
        let dialogs = tables().find(|(table, _)| *table == "dialogs").unwrap().1;
        let find = |name: &str| *dialogs.iter().find(|column| column.name == name).unwrap();
        let expect = |name, kind, not_null, recent| Column { name, kind, not_null, recent };
        assert_eq!(find("source"), expect("source", Some("character varying(32)"), true, false));
        assert_eq!(find("personal_account_id"), expect("personal_account_id", Some("integer"), false, true));
        assert_eq!(find("avito_account_id"), expect("avito_account_id", None, false, false));
        assert_eq!(find("updated_at"), expect("updated_at", Some("timestamp without time zone"), false, false));
        assert_eq!(dialogs.len(), 21);
    }
}

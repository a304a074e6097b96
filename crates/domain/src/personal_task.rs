//! Elements of the Redis list `tuberry:personal:tasks`, as the rest of Tuberry writes them, and why one is refused.

use crate::{AccountId, DialogId, MessageId, ProjectId};
use serde_json::Value;

/// The only type of element that there is.
const SEND_MESSAGE: &str = "personal.send_message";

/// `personal.send_message`: a message that the producer has stored is to go to the customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendTask {
    /// `account_id`: the account that sends it.
    pub account: AccountId,
    /// `dialog_id`.
    pub dialog: DialogId,
    /// `message_db_id`: the stored message.
    pub message: MessageId,
    /// What goes to the customer.
    pub text: String,
    /// `project_id`, where the producer names it.
    pub project: Option<ProjectId>,
}

/// Why an element is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Longer than any message.
    TooLarge,
    /// Not a JSON object in UTF-8.
    Malformed,
    /// Another `type`.
    UnknownType,
    /// Account, dialog, message or text is missing, or is not what it should be.
    Incomplete,
    /// There is no such message (any more).
    UnknownMessage,
    /// The message is of another dialog, or none that goes to a customer.
    ForeignMessage,
    /// There is no such dialog of a personal account.
    UnknownDialog,
    /// The dialog's account was removed.
    NoAccount,
    /// The dialog is of another account.
    ForeignAccount,
    /// The dialog is of another project.
    ForeignProject,
}

impl Refusal {
    /// Its name in dead letters and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::UnknownType => "unknown_type",
            Self::Incomplete => "incomplete",
            Self::UnknownMessage => "unknown_message",
            Self::ForeignMessage => "foreign_message",
            Self::UnknownDialog => "unknown_dialog",
            Self::NoAccount => "no_account",
            Self::ForeignAccount => "foreign_account",
            Self::ForeignProject => "foreign_project",
        }
    }

    /// What the portal shows at the message.
    pub fn text(self) -> &'static str {
        match self {
            Self::TooLarge => "задание слишком велико",
            Self::Malformed => "задание не читается",
            Self::UnknownType => "задание неизвестного вида",
            Self::Incomplete => "в задании не хватает данных",
            Self::UnknownMessage => "такого сообщения нет",
            Self::ForeignMessage => "сообщение из другого диалога",
            Self::UnknownDialog => "такого диалога нет",
            Self::NoAccount => "аккаунт отключён от проекта",
            Self::ForeignAccount => "диалог принадлежит другому аккаунту",
            Self::ForeignProject => "диалог принадлежит другому проекту",
        }
    }
}

/// An element that cannot be read as a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Why.
    pub refusal: Refusal,
    /// The message that it names all the same.
    pub message: Option<MessageId>,
}

impl SendTask {
    /// Reads an element. Fields that we do not know are ignored.
    pub fn parse(element: &[u8]) -> Result<Self, Unreadable> {
        let refused = |refusal, message| Unreadable { refusal, message };
        let element: Value = serde_json::from_slice(element).map_err(|_| refused(Refusal::Malformed, None))?;
        if !element.is_object() {
            return Err(refused(Refusal::Malformed, None));
        }
        let payload = &element["payload"];
        let id = |name: &str| payload[name].as_i64().and_then(|id| i32::try_from(id).ok()).filter(|id| *id > 0);
        let message = id("message_db_id").map(MessageId);
        if element["type"] != SEND_MESSAGE {
            return Err(refused(Refusal::UnknownType, message));
        }
        let project = match &payload["project_id"] {
            Value::Null => Some(None),
            _ => id("project_id").map(|id| Some(ProjectId(id))),
        };
        let text = payload["text"].as_str().filter(|text| !text.trim().is_empty());
        match (id("account_id"), id("dialog_id"), message, text, project) {
            (Some(account), Some(dialog), Some(message), Some(text), Some(project)) => {
                Ok(Self { account: AccountId(account), dialog: DialogId(dialog), message, text: text.to_owned(), project })
            }
            _ => Err(refused(Refusal::Incomplete, message)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(element: &Value) -> Result<SendTask, Unreadable> {
        SendTask::parse(element.to_string().as_bytes())
    }

    fn element() -> Value {
        let payload = json!({ "account_id": 1, "dialog_id": 2, "message_db_id": 3, "text": "привет", "project_id": 4 });
        json!({ "type": "personal.send_message", "payload": payload })
    }

    #[test]
    fn an_element_is_read_as_producers_write_it() {
        let task = SendTask {
            account: AccountId(1),
            dialog: DialogId(2),
            message: MessageId(3),
            text: "привет".into(),
            project: Some(ProjectId(4)),
        };
        assert_eq!(parse(&element()), Ok(task.clone()));
        let mut old = element();
        old["payload"]["project_id"] = Value::Null;
        old["attempt"] = json!(1);
        assert_eq!(parse(&old), Ok(SendTask { project: None, ..task.clone() }));
        old["payload"].as_object_mut().unwrap().remove("project_id");
        assert_eq!(parse(&old), Ok(SendTask { project: None, ..task }));
    }

    #[test]
    fn what_cannot_be_read_says_why_and_which_message() {
        for bad in [&b"{"[..], b"", b"[]", b"7", b"\xff\xfe", b"{} {}", &[b'['; 4000]] {
            assert_eq!(SendTask::parse(bad), Err(Unreadable { refusal: Refusal::Malformed, message: None }));
        }
        let mut other = element();
        other["type"] = json!("personal.call");
        assert_eq!(parse(&other), Err(Unreadable { refusal: Refusal::UnknownType, message: Some(MessageId(3)) }));
        for (field, value) in [
            ("account_id", Value::Null),
            ("account_id", json!("1")),
            ("account_id", json!(5_000_000_000_i64)),
            ("dialog_id", json!(2.5)),
            ("text", json!(" \n")),
            ("text", json!(7)),
            ("project_id", json!("four")),
        ] {
            let mut lame = element();
            lame["payload"][field] = value;
            assert_eq!(parse(&lame), Err(Unreadable { refusal: Refusal::Incomplete, message: Some(MessageId(3)) }), "{field}");
        }
        let nothing = json!({ "type": "personal.send_message" });
        assert_eq!(parse(&nothing), Err(Unreadable { refusal: Refusal::Incomplete, message: None }));
    }
}

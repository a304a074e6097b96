//! `/api/dialogs`: customers' conversations with the personal accounts, as the portal shows them.

mod list;
mod messages;

pub(super) use list::{__path_list, list};
pub(super) use messages::{__path_messages, messages};

//! Telegram behind the domain's ports. [`mtproto`] is the accounts' side (grammers): logins, connections, intake, sending.
//! [`bot_api`] is the managing bot's side (HTTP). Nothing here knows the database or the queue.

pub mod bot_api;
mod calls;
pub mod mtproto;

pub use bot_api::HttpBotApi;
pub use calls::describe_metrics;
pub use mtproto::{
    AccountLink, Application, Calls, Device, Floors, Intake, IntakeError, LinkStart, LinkStatus, MtprotoLogins, Network, Timings,
};

/// What of the MTProto library's chatter is worth a line, as a directive for the log's filter.
pub const LOG_FILTER: &str = "grammers_mtsender=error,grammers_mtproto=error,grammers_session=error";

//! Telegram behind the domain's ports. [`mtproto`] is the accounts' side (grammers): logins, connections, intake, sending.
//! [`bot_api`] is the managing bot's side (HTTP). Nothing here knows the database or the queue.

pub mod bot_api;
pub mod mtproto;

pub use bot_api::HttpBotApi;
pub use mtproto::{
    AccountLink, Application, Calls, Device, Intake, IntakeError, LinkStart, LinkStatus, MtprotoLogins, Network, Timings,
};

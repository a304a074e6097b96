//! What jobs use of the world outside. Implemented by `crates/telegram`, `src/fleet` and `src/bridge`; PostgreSQL is not behind a port.

mod accounts;
mod bot_api;
mod key_claims;
mod logins;
mod status_events;

pub use accounts::{Accounts, CallError, OutgoingText, Sent};
pub use bot_api::{BotApi, BotChat, BotError, BotIdentity, BotMember, BotToken, SendTopicMessage, WebhookInfo};
pub use key_claims::{Claim, ClaimError, KeyClaims, KeyClass, Lease, Reuse};
pub use logins::{Export, LoginConnection, LoginError, LoginKey, Logins, PasswordProof};
pub use status_events::{StatusEvent, StatusEvents};

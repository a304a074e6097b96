//! What jobs use of the world outside. Implemented by `crates/telegram` and `src/fleet`; PostgreSQL is not behind a port.

mod accounts;
mod bot_api;
mod key_claims;
mod logins;

pub use accounts::{Accounts, CallError, OutgoingText, Sent};
pub use bot_api::{BotApi, BotChat, BotError, BotIdentity, BotMember, BotToken, SendTopicMessage, WebhookInfo};
pub use key_claims::{Claim, ClaimError, KeyClaims, KeyClass, Lease, Reuse};
pub use logins::{Export, LoginConnection, LoginError, LoginKey, Logins, PasswordProof};

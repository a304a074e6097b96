//! MTProto by grammers. From the outside in: [`AccountLink`] is one account's connection for as long as this process owns it,
//! [`MtprotoLogins`] opens connections for logins and log-outs, [`Network`] says where Telegram is.
//!
//! grammers' pool reconnects by itself, at once and on whatever call comes next. Here a pool lives exactly as long as one TCP
//! connection (`wire`), and the session (`session`) refuses it a second one: who may connect, and when, is decided in
//! `connection` alone.

mod attachments;
mod backoff;
mod calls;
mod connection;
mod entities;
mod errors;
mod intake;
mod link;
mod login;
mod messages;
mod network;
mod pace;
mod peers;
mod send;
mod session;
mod shared;
mod simulator;
mod socks;
pub mod srp;
mod timings;
mod wire;

pub use calls::Calls;
pub use intake::{Floors, Intake, IntakeError};
pub use link::{AcceptsNow, AccountLink, LinkStart};
pub use login::MtprotoLogins;
pub use network::{Application, Device, Network, NetworkError};
pub use session::Gate;
pub use shared::LinkStatus;
pub use timings::Timings;

//! The vocabulary of the service: ids, states and their transitions, message content, sealed secrets, and the ports through
//! which jobs reach the outside world. Pure: no IO, no clock of its own, no database.

pub mod account;
pub mod bot_update;
pub mod content;
mod ids;
pub mod intake;
pub mod login;
pub mod personal_task;
pub mod ports;
mod proxy;
pub mod reaction;
pub mod seal;
mod secret;
pub mod session;
pub mod text;
pub mod title;
pub mod working_group;

pub use ids::*;
pub use proxy::{InvalidProxy, Proxy};
pub use seal::{Place, SealError, Sealer};
pub use secret::Secret;

//! All SQL of the service but the queue's: one file per table or aggregate, each function one statement or one short transaction step.
//!
//! Callers get a [`Store`] (a pool) for reads and single statements and a [`Tx`] for everything that must happen together.

pub mod accounts;
pub mod chat_membership;
pub mod clients;
pub mod intake;
pub mod limits;
pub mod logins;
pub mod migrations;
pub mod mirror;
pub mod replies;
mod store;
pub mod sync;
pub mod users;
mod wake_ups;

pub use store::{Error, Result, Store, Tx};
pub use wake_ups::WAKE_UP_CHANNEL;

/// Our own migrations. The queue's columns stand on apalis' table: run `tuberry_jobs::queue::migrate`, which does both in order.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

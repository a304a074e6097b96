//! All SQL of the service but the queue's: one file per table or aggregate, each function one statement or one short transaction step.
//!
//! Callers get a [`Store`] (a pool) for reads and single statements and a [`Tx`] for everything that must happen together.

pub mod account_pages;
pub mod accounts;
pub mod bot_polling;
pub mod bot_webhooks;
pub mod bots;
pub mod cabinet;
pub mod chat_membership;
pub mod clients;
pub mod connections;
pub mod diagnosis;
pub mod dialog_cards;
mod dialog_moves;
pub mod dialog_pages;
pub mod intake;
pub mod leases;
pub mod limits;
pub mod logins;
pub mod migrations;
pub mod mirror;
pub mod moving;
pub mod open_logins;
pub mod peers;
pub mod personal_tasks;
pub mod pooling;
pub mod portal_sessions;
pub mod projects;
pub mod proxies;
pub mod replies;
pub mod restrictions;
mod storable;
mod store;
pub mod sync;
pub mod telegram_chats;
mod together;
pub mod topics;
pub mod users;
mod wake_ups;
mod words;
pub mod worker_pages;
pub mod workers;

pub use store::{Error, Result, Store, Tx, reading};
pub use wake_ups::{Pending as PendingWakeUps, WAKE_UP_CHANNEL};
pub use words::words;

/// Our own migrations. The queue's columns stand on apalis' table: run `tuberry_jobs::queue::migrate`, which does both in order.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

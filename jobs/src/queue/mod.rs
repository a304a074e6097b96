//! The queue: ordered, affine, durable jobs on apalis' table. The only place in the product that names apalis.
//!
//! - [`crate::enqueue`] writes rows in the caller's transaction (`enqueue`).
//! - [`Queue`] is this process' engine, on a thread of its own: it claims, acknowledges, renews leases and listens (`engine`, `heartbeat`,
//!   `listener`), all by the functions of the schema `queue` (`statements`).
//! - [`Runner`] runs one apalis worker per registered kind, fed by the engine (`backend`, `service`).
//! - `board` is apalis' own page over the table.
//! - [`control`] is for operators and other jobs, [`retention`] for the clock; [`pages`], [`audits`] and [`lag`] are what people see, [`meters`] and
//!   [`census`] what Prometheus does.

pub mod audits;
mod backend;
mod board;
mod buffer;
pub mod census;
mod connection;
pub mod control;
mod engine;
pub(crate) mod enqueue;
mod handle;
mod heartbeat;
mod hot;
pub mod lag;
mod lease;
mod listener;
pub mod meters;
mod migrate;
pub mod pages;
pub mod retention;
mod runner;
mod service;
mod slots;
mod statements;
mod tally;

pub use board::board;
pub use control::cancel_waiting;
pub use handle::{Config, LEASE, Queue, Statistics};
pub use migrate::{migrate, survey};
pub use runner::Runner;

/// What of the worker library's chatter is worth a line, as a directive for the log's filter.
pub const LOG_FILTER: &str = "apalis_core=warn";

//! Tuberry's personal Telegram accounts: the edges of the service and their wiring. What it does is in `tuberry-jobs`, what it
//! knows in `tuberry-storage`.

pub mod bridge;
pub mod cli;
pub mod config;
pub mod credentials;
pub mod doctor;
pub mod embedded;
pub mod fleet;
pub mod http;
pub mod lifeline;
pub mod passwords;
pub mod polling;
mod random;
pub mod sessions;
pub mod telemetry;
pub mod tokens;
pub mod web;
pub mod webhook_upkeep;
pub mod worker_port;

//! Our side of Telegram against a simulated Telegram that knows nothing of us.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod account;
mod alive;
mod beginning;
mod bots;
mod connection;
mod cost;
mod intake;
mod login;
mod restraint;
mod sending;
mod stage;

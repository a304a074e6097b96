//! The REST interface from outside: the real router on a random port, a database of its own, and the simulator where the Bot API is
//! asked. Workers do not run here; what jobs do is in `scenarios`.

mod accounts;
mod app;
mod bad_input;
mod board;
mod bots;
mod commands;
mod dialogs;
mod jobs;
mod locks;
mod logins;
mod openapi;
mod projects;
mod roles;
mod sign_in;
mod tenants;
mod webhooks;

pub(crate) use app::{Answer, App, Owner};

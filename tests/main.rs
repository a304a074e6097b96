//! One integration binary: every test against a real PostgreSQL, and real processes where something is killed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic, its helpers too")]

mod api;
mod demo;
mod embedded;
mod floors;
mod jobs;
mod judges;
mod moving;
mod operations;
mod scenarios;
mod support;
mod web;

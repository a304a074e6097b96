//! One integration binary: every test against a real PostgreSQL, and real processes where something is killed.

mod demo;
mod embedded;
mod floors;
mod support;

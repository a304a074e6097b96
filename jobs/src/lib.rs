//! What the service does: one file per job, over a queue on apalis' table.

pub mod job;
pub mod queue;

pub use job::{Backoff, Job, JobError, Policy, Unique, enqueue, enqueue_all, enqueue_at, enqueue_in};

//! The queue and the jobs against a real PostgreSQL.

mod mirrored_together;
mod queue_affinity;
mod queue_control;
mod queue_enqueue;
mod queue_kit;
mod queue_leases;
mod queue_liveness;
mod queue_order;
mod queue_outcomes;
mod queue_plans;
mod queue_processes;
mod retention;

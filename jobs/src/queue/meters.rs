//! What this process' queue shows to Prometheus. Handlers' times are told as they end; what is counted anyhow (`Statistics`, `tally`) is read
//! when somebody scrapes.

use super::handle::Queue;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Runs of one kind.
#[derive(Clone)]
pub(super) struct Runs {
    seconds: metrics::Histogram,
    attempts: metrics::Histogram,
}

impl Runs {
    pub(super) fn of(kind: &'static str) -> Self {
        Self {
            seconds: metrics::histogram!("tuberry_job_run_seconds", "kind" => kind),
            attempts: metrics::histogram!("tuberry_job_attempts", "kind" => kind),
        }
    }

    /// A run has ended; `attempts`: and the job is done, with so many.
    pub(super) fn ended(&self, took: Duration, attempts: Option<u32>) {
        self.seconds.record(took);
        if let Some(attempts) = attempts {
            self.attempts.record(attempts);
        }
    }
}

/// How long jobs of a kind waited until they were claimed, from when they could start or, behind others of their key, from when they were enqueued.
pub(super) fn waits(kind: &'static str) -> metrics::Histogram {
    metrics::histogram!("tuberry_job_wait_seconds", "kind" => kind)
}

/// Describes what this module shows.
pub fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_histogram!("tuberry_job_run_seconds", Unit::Seconds, "Time of one run of a job's handler");
    describe_histogram!("tuberry_job_attempts", "Attempts that a job needed until it was done");
    describe_histogram!("tuberry_job_wait_seconds", Unit::Seconds, "Time from when a job could start until it was claimed");
    describe_counter!("tuberry_job_runs_total", "Ends of runs that are written down, by outcome");
    describe_counter!("tuberry_queue_steps_total", "Round trips of the queue's engine");
    describe_counter!("tuberry_queue_statements_total", "Statements of the queue, without LISTEN");
    describe_counter!("tuberry_queue_claimed_total", "Jobs claimed");
    describe_counter!("tuberry_queue_acknowledged_total", "Outcomes written");
    describe_counter!("tuberry_queue_fenced_total", "Outcomes that came too late: somebody else had taken the job");
    describe_counter!("tuberry_queue_put_off_total", "Outcomes put off while a job of the same key was being enqueued");
    describe_counter!("tuberry_queue_reaped_total", "Jobs of silent processes put back into line");
    describe_gauge!(
        "tuberry_queue_lease_age_seconds",
        Unit::Seconds,
        "Since the last renewal of this process' lease on its jobs"
    );
    describe_gauge!("tuberry_queue_jobs_here", "Claimed jobs in this process, waiting or running");
}

impl Queue {
    /// Shows where this process' counters stand now.
    pub fn show(&self) {
        let statistics = self.statistics();
        for (name, counter) in [
            ("tuberry_queue_steps_total", &statistics.steps),
            ("tuberry_queue_statements_total", &statistics.statements),
            ("tuberry_queue_claimed_total", &statistics.claimed),
            ("tuberry_queue_acknowledged_total", &statistics.acknowledged),
            ("tuberry_queue_fenced_total", &statistics.fenced),
            ("tuberry_queue_put_off_total", &statistics.put_off),
            ("tuberry_queue_reaped_total", &statistics.reaped),
        ] {
            metrics::counter!(name).absolute(counter.load(Ordering::Relaxed));
        }
        for (kind, total) in self.shared.tallies.totals() {
            for (outcome, number) in [
                ("done", total.done),
                ("retry", total.retried),
                ("snooze", total.snoozed),
                ("dead", total.dead),
                ("lost", total.lost),
            ] {
                metrics::counter!("tuberry_job_runs_total", "kind" => kind, "outcome" => outcome).absolute(number);
            }
        }
        metrics::gauge!("tuberry_queue_lease_age_seconds").set(self.shared.renewed.borrow().elapsed());
        for buffer in self.shared.buffers() {
            let (waiting, running) = buffer.load();
            for (state, jobs) in [("waiting", waiting), ("running", running)] {
                metrics::gauge!("tuberry_queue_jobs_here", "kind" => buffer.kind, "state" => state).set(jobs as f64);
            }
        }
    }
}

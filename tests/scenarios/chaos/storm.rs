//! The workers, each on a host of its own, and what is done to them.

use super::host::Host;
use super::plan::Deed;
use super::trace::Trace;
use crate::support::proxy::Line;
use crate::support::{Process, Stack};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};
use tuberry::embedded::Restart;

/// Output of so many ended workers is kept, to be shown if the run fails.
const REMEMBERED: usize = 6;
/// Pause of whoever starts workers that ended by themselves.
const REVIVAL: Duration = Duration::from_millis(500);

/// Workers under faults.
pub struct Storm<'a> {
    stack: &'a Stack,
    trace: &'a Trace,
    hosts: Vec<Host>,
    workers: Vec<Process>,
    ended: Vec<Process>,
}

impl<'a> Storm<'a> {
    /// Starts the workers.
    pub async fn gather(stack: &'a Stack, trace: &'a Trace, workers: usize) -> Self {
        let mut storm = Self { stack, trace, hosts: Vec::new(), workers: Vec::new(), ended: Vec::new() };
        for _ in 0..workers {
            let host = Host::new(stack).await;
            storm.workers.push(host.start_worker(stack).await);
            storm.hosts.push(host);
        }
        storm
    }

    /// Does everything at its time.
    pub async fn rage(&mut self, deeds: &[(Duration, Deed)]) {
        let began = Instant::now();
        for (at, deed) in deeds {
            while Instant::now() < began + *at {
                sleep_until((began + *at).min(Instant::now() + REVIVAL)).await;
                self.revive().await;
            }
            self.trace.event(&format!("{deed:?}"));
            self.act(*deed).await;
        }
    }

    /// Keeps the workers running, as a host's supervisor does; never returns.
    pub async fn keep_running(&mut self) {
        loop {
            sleep(REVIVAL).await;
            self.revive().await;
        }
    }

    async fn act(&mut self, deed: Deed) {
        match deed {
            Deed::Kill(worker) => {
                self.workers[worker].kill().await;
                self.replace(worker).await;
            }
            Deed::Stop(worker) => self.workers[worker].signal(Signal::SIGSTOP),
            Deed::Continue(worker) => self.workers[worker].signal(Signal::SIGCONT),
            Deed::Postgres(worker, line) => self.hosts[worker].set_postgres(line),
            Deed::Telegram(worker, line) => self.hosts[worker].set_telegram(line),
            Deed::DropConnections => {
                self.stack.control("POST", "/faults", serde_json::json!({ "kind": "drop_connections" })).await;
            }
            Deed::PostgresDown(how) => {
                let server = Pid::from_raw(self.stack.cluster().embedded.pid().try_into().expect("a process id"));
                kill(server, how).expect("a server that runs");
            }
            Deed::PostgresUp => self.stack.cluster().embedded.restart(Restart::Fast).await.expect("PostgreSQL starts"),
        }
    }

    /// A worker may end by itself where it finds no database or no Telegram when it starts.
    async fn revive(&mut self) {
        for worker in 0..self.workers.len() {
            if let Some(status) = self.workers[worker].ended() {
                let output = self.workers[worker].output();
                let last = output.lines().last().unwrap_or_default();
                self.trace.event(&format!("worker {worker} ended by itself, {status}: {last}"));
                self.replace(worker).await;
            }
        }
    }

    async fn replace(&mut self, worker: usize) {
        assert_no_panic(&self.workers[worker]);
        let new = self.hosts[worker].start_worker(self.stack).await;
        self.ended.push(std::mem::replace(&mut self.workers[worker], new));
        if self.ended.len() > REMEMBERED {
            self.ended.remove(0);
        }
    }

    /// Of those workers that run; the others were asked when they ended.
    pub fn assert_nothing_panicked(&self) {
        self.workers.iter().for_each(assert_no_panic);
    }

    /// Opens every line and lets every worker run, should the plan have left something.
    pub fn end(&self) {
        self.workers.iter().for_each(|worker| worker.signal(Signal::SIGCONT));
        for host in &self.hosts {
            host.set_postgres(Line::Open);
            host.set_telegram(Line::Open);
        }
    }
}

fn assert_no_panic(worker: &Process) {
    let output = worker.output();
    let panic = output.lines().find(|line| line.contains("panicked"));
    assert_eq!(panic, None, "pid {}", worker.pid());
}

//! The demo's processes: started, started again a second after they died, listed in `pids.json`, and ended in order.

use super::plan::Process;
use crate::embedded::{Embedded, Restart};
use crate::lifeline::{self, Tied};
use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long after its death a process is started again.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a process may take to end by itself: a worker gives its accounts back.
const PATIENCE: Duration = Duration::from_secs(10);

/// Process ids as `pids.json` shows them. A process that is dead for the moment is left out (`null`, or no element).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Pids {
    api: Option<u32>,
    workers: Vec<u32>,
    postgres: Option<u32>,
    simulator: Option<u32>,
}

/// All processes of the demo but itself.
pub(super) struct Supervisor {
    postgres: Arc<Embedded>,
    shared: Arc<Shared>,
    /// Ends API and workers; then the simulator; then PostgreSQL.
    services: CancellationToken,
    telegram: CancellationToken,
    database: CancellationToken,
    tasks: Mutex<Vec<(Stage, JoinHandle<()>)>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Services,
    Telegram,
    Database,
}

/// The running processes by name, and the file that shows them.
struct Shared {
    running: Mutex<BTreeMap<String, u32>>,
    data_dir: PathBuf,
}

impl Supervisor {
    /// Takes PostgreSQL over: starts it again when it dies.
    pub(super) fn start(data_dir: &Path, postgres: Embedded) -> Result<Self> {
        fs::create_dir_all(data_dir.join("logs"))?;
        let supervisor = Self {
            postgres: Arc::new(postgres),
            shared: Arc::new(Shared { running: Mutex::default(), data_dir: data_dir.to_path_buf() }),
            services: CancellationToken::new(),
            telegram: CancellationToken::new(),
            database: CancellationToken::new(),
            tasks: Mutex::default(),
        };
        supervisor.shared.set("postgres", Some(supervisor.postgres.pid())).context("writing pids.json")?;
        let keep = keep_postgres(supervisor.postgres.clone(), supervisor.shared.clone(), supervisor.database.clone());
        supervisor.add(Stage::Database, tokio::spawn(keep));
        Ok(supervisor)
    }

    pub(super) fn postgres(&self) -> &Embedded {
        &self.postgres
    }

    pub(super) fn simulator(&self, process: Process) {
        let keep = keep(process, self.shared.clone(), self.telegram.clone());
        self.add(Stage::Telegram, tokio::spawn(keep));
    }

    pub(super) fn api(&self, process: Process) {
        let keep = keep(process, self.shared.clone(), self.services.clone());
        self.add(Stage::Services, tokio::spawn(keep));
    }

    pub(super) fn worker(&self, process: Process) {
        self.api(process);
    }

    /// The processes of this moment.
    pub(super) fn pids(&self) -> Pids {
        self.shared.pids()
    }

    /// Ends everything: first those who need the others.
    pub(super) async fn stop(self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for (stage, signal) in
            [(Stage::Services, &self.services), (Stage::Telegram, &self.telegram), (Stage::Database, &self.database)]
        {
            signal.cancel();
            for (_, task) in tasks.extract_if(.., |(of, _)| *of == stage) {
                let _ = task.await;
            }
        }
        if let Some(postgres) = Arc::into_inner(self.postgres) {
            postgres.stop().await;
        }
        let _ = fs::remove_file(self.shared.data_dir.join("pids.json"));
    }

    fn add(&self, stage: Stage, task: JoinHandle<()>) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).push((stage, task));
    }
}

impl Shared {
    fn pids(&self) -> Pids {
        pids(&self.running.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes that a process runs, or that it does not, and writes the file anew.
    fn set(&self, name: &str, pid: Option<u32>) -> io::Result<()> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match pid {
            Some(pid) => drop(running.insert(name.to_owned(), pid)),
            None => drop(running.remove(name)),
        }
        let path = self.data_dir.join("pids.json");
        let new = path.with_extension("json.new");
        fs::write(&new, serde_json::to_vec(&pids(&running))?)?;
        fs::rename(new, path)
    }

    fn show(&self, name: &str, pid: Option<u32>) {
        if let Err(error) = self.set(name, pid) {
            tracing::warn!(%error, "pids.json");
        }
    }

    fn log(&self, name: &str, again: bool) -> io::Result<File> {
        let path = self.data_dir.join("logs").join(format!("{name}.log"));
        OpenOptions::new().create(true).append(again).write(true).truncate(!again).open(path)
    }
}

fn pids(running: &BTreeMap<String, u32>) -> Pids {
    let one = |name: &str| running.get(name).copied();
    Pids {
        api: one("api"),
        workers: running.iter().filter(|(name, _)| name.starts_with("worker-")).map(|(_, pid)| *pid).collect(),
        postgres: one("postgres"),
        simulator: one("simulator"),
    }
}

/// Runs a process until `stop`, again and again.
async fn keep(process: Process, shared: Arc<Shared>, stop: CancellationToken) {
    let mut again = false;
    loop {
        match start(&process, &shared, again).await {
            Ok(running) => {
                shared.show(&process.name, Some(running.pid()));
                tokio::select! {
                    status = running.wait() => {
                        shared.show(&process.name, None);
                        let status = status.map(|status| status.to_string()).unwrap_or_default();
                        tracing::warn!(process = process.name, status, "ended; starting it again");
                    }
                    () = stop.cancelled() => {
                        end(&running).await;
                        return shared.show(&process.name, None);
                    }
                }
            }
            Err(error) => tracing::error!(process = process.name, %error, "does not start"),
        }
        again = true;
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn start(process: &Process, shared: &Shared, again: bool) -> io::Result<Tied> {
    let log = shared.log(&process.name, again)?;
    let mut command = process.command();
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    // Nothing is lost by it: surviving this is what the service is built for.
    lifeline::spawn(command, Signal::SIGKILL).await
}

async fn end(process: &Tied) {
    process.signal(Signal::SIGTERM);
    if tokio::time::timeout(PATIENCE, process.wait()).await.is_err() {
        process.signal(Signal::SIGKILL);
        process.wait().await;
    }
}

async fn keep_postgres(postgres: Arc<Embedded>, shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        tokio::select! {
            _ = postgres.ended() => {}
            () = stop.cancelled() => return,
        }
        shared.show("postgres", None);
        tracing::warn!("PostgreSQL ended; starting it again");
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.cancelled() => return,
        }
        match postgres.restart(Restart::Fast).await {
            Ok(()) => shared.show("postgres", Some(postgres.pid())),
            Err(error) => tracing::error!(%error, "PostgreSQL does not start"),
        }
    }
}

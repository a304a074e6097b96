//! PostgreSQL clusters of this run: each in a folder below `target/tmp`, gone when the run ends, however it ends.
//!
//! The kernel stops the servers when this process dies (`tuberry::lifeline`). Their folders are removed by a watchdog, a shell that
//! waits for the end of its standard input, and what a killed watchdog left is removed by the next run.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use tuberry::embedded::{Embedded, Options, Tuning};

/// A cluster for one test that restarts, stops or kills it. It holds one migrated database.
pub struct OwnCluster {
    pub embedded: Embedded,
    /// URL of the migrated database, for our processes.
    pub url: String,
    _folder: Folder,
}

impl OwnCluster {
    pub async fn start() -> Self {
        Self::start_with(Tuning::Throwaway).await
    }

    pub async fn start_with(tuning: Tuning) -> Self {
        let folder = Folder::new();
        let embedded = start(folder.path(), tuning).await.expect("PostgreSQL");
        embedded.create_database("tuberry", None).await.expect("a database");
        let url = embedded.socket_url("tuberry");
        super::databases::migrate(&url).await.expect("migrations");
        if matches!(tuning, Tuning::Throwaway) {
            super::databases::refuse_second_heads(&url).await.expect("an index");
        }
        Self { embedded, url, _folder: folder }
    }
}

/// Starts a cluster in `folder`. `Throwaway` is not safe against power failures, but against killed processes.
pub async fn start(folder: &Path, tuning: Tuning) -> Result<Embedded, tuberry::embedded::Error> {
    Embedded::start(Options { data_dir: folder.to_path_buf(), port: None, tuning }).await
}

/// A data directory, removed when dropped or when this process ends.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static CLEANED: Once = Once::new();
        CLEANED.call_once(remove_abandoned);
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("cluster-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = root().join(name);
        fs::create_dir_all(&path).expect("a folder below target/tmp");
        watch(&path).expect("a shell");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// Removes a data directory, and the cluster's folder where the data directory only links to it.
fn remove(path: &Path) {
    if let Ok(cluster) = path.join("postgres").canonicalize() {
        let _ = fs::remove_dir_all(cluster);
    }
    let _ = fs::remove_dir_all(path);
}

/// Folders of runs whose processes are gone: nobody holds the lock.
fn remove_abandoned() {
    for entry in fs::read_dir(root()).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with("cluster-");
        let lock = entry.path().join("postgres.lock");
        if ours && File::open(lock).is_ok_and(|lock| lock.try_lock().is_ok()) {
            remove(&entry.path());
        }
    }
}

/// Starts the watchdog of a folder.
fn watch(path: &Path) -> io::Result<()> {
    const SCRIPT: &str = r#"
        read -r _
        mark=$0/postgres/data/postmaster.pid
        for _ in $(seq 200); do
            [ -e "$mark" ] || break
            kill -INT "$(head -n 1 "$mark")" 2>/dev/null
            sleep 0.1
        done
        rm -rf -- "$(readlink -f "$0/postgres")" "$0"
    "#;
    let child = Command::new("sh")
        .args(["-c", SCRIPT])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C in the terminal must reach the tests, not the watchdog.
        .process_group(0)
        .spawn()?;
    // Its standard input stays open until this process ends.
    std::mem::forget(child);
    Ok(())
}

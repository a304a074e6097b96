//! The server process: starting it, waiting until it accepts connections, ending it, and ending one that was left behind.

use super::cluster::{Cluster, clean_environment};
use super::{Error, Tuning};
use crate::lifeline::{self, Tied};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Includes the recovery after a crash.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// Enough for three workers, an API and a test with pools of their own.
const MAX_CONNECTIONS: u16 = 300;
/// PostgreSQL's "fast" shutdown: sessions end, everything is written.
const FAST: Signal = Signal::SIGINT;
/// PostgreSQL's "immediate" shutdown: no checkpoint, recovery at the next start.
const IMMEDIATE: Signal = Signal::SIGQUIT;

/// Why a start failed, where another attempt may help.
pub(super) enum Failure {
    /// Somebody else took the port meanwhile.
    PortTaken,
    /// Processes of the server before are still ending.
    StillEnding,
    Final(Error),
}

/// Starts the server and waits until it accepts connections.
pub(super) async fn start(cluster: &Cluster, port: u16, tuning: Tuning) -> Result<Tied, Failure> {
    let folder_error = |error| Failure::Final(Error::folder(&cluster.folder, error));
    let (log, said_before) = cluster.log().map_err(folder_error)?;
    let program = cluster.binaries.program("postgres");
    let mut command = Command::new(&program);
    clean_environment(&mut command);
    cluster.identity.apply(&mut command);
    command.arg("-D").arg(cluster.data());
    for setting in settings(cluster, port, tuning) {
        command.args(["-c", &setting]);
    }
    command.stdin(Stdio::null()).stdout(log.try_clone().map_err(folder_error)?).stderr(log);
    let server = lifeline::spawn(command, FAST).await.map_err(|error| Failure::Final(Error::program(&program, error)))?;

    let deadline = Instant::now() + START_TIMEOUT;
    while !is_ready(&cluster.data(), server.pid()) {
        if server.ended().is_some() {
            let said = text_after(&cluster.log_path(), said_before);
            return Err(if said.contains("could not bind") || said.contains("could not create any TCP/IP sockets") {
                Failure::PortTaken
            } else if said.contains("pre-existing shared memory block")
                || said.contains("lock file \"postmaster.pid\" already exists")
            {
                Failure::StillEnding
            } else {
                Failure::Final(Error::Start { log: said.trim().to_owned() })
            });
        }
        if Instant::now() > deadline {
            server.signal(IMMEDIATE);
            return Err(Failure::Final(Error::Start { log: text_after(&cluster.log_path(), said_before).trim().to_owned() }));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(server)
}

/// Ends the server: fast, and by force when that takes too long.
pub(super) async fn stop(server: &Tied) {
    for (signal, patience) in [(FAST, 10), (IMMEDIATE, 5), (Signal::SIGKILL, 5)] {
        server.signal(signal);
        if tokio::time::timeout(Duration::from_secs(patience), server.wait()).await.is_ok() {
            return;
        }
    }
}

/// The same, for the end of an [`super::Embedded`] that nobody stopped: blocks the thread, for at most 5 s.
pub(super) fn stop_now(server: &Tied) {
    for signal in [FAST, IMMEDIATE, Signal::SIGKILL] {
        server.signal(signal);
        for _ in 0..150 {
            if server.ended().is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Ends the server that a killed process of ours left behind, and removes the mark of one that is long gone, whose process id may
/// belong to a stranger by now.
pub(super) async fn end_left_behind(data: &Path) {
    let mark = data.join("postmaster.pid");
    let Some(pid) = fs::read_to_string(&mark).ok().and_then(|text| text.lines().next()?.trim().parse().ok()).map(Pid::from_raw)
    else {
        return;
    };
    for (signal, patience) in [(FAST, 10), (IMMEDIATE, 5), (Signal::SIGKILL, 5)] {
        let deadline = Instant::now() + Duration::from_secs(patience);
        if serves(pid, data) {
            tracing::info!(%pid, %signal, "ending the PostgreSQL that was left behind");
            let _ = kill(pid, signal);
        }
        while serves(pid, data) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let _ = fs::remove_file(mark);
}

/// Whether the process runs and is the server of this data directory (which is its working directory).
fn serves(pid: Pid, data: &Path) -> bool {
    if cfg!(target_os = "linux") {
        fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|folder| folder == data)
    } else {
        kill(pid, None).is_ok()
    }
}

/// The server writes `ready` into the eighth line of `postmaster.pid` (`miscadmin.h`: LOCK_FILE_LINE_PM_STATUS).
fn is_ready(data: &Path, pid: u32) -> bool {
    fs::read_to_string(data.join("postmaster.pid")).is_ok_and(|text| {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        lines.first() == Some(&pid.to_string().as_str()) && lines.get(7) == Some(&"ready")
    })
}

fn settings(cluster: &Cluster, port: u16, tuning: Tuning) -> Vec<String> {
    let mut settings = vec![
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        format!("unix_socket_directories={}", cluster.socket.display()),
        format!("max_connections={MAX_CONNECTIONS}"),
        "shared_buffers=128MB".to_owned(),
        "timezone=UTC".to_owned(),
        "log_timezone=UTC".to_owned(),
        "jit=off".to_owned(),
        "wal_level=minimal".to_owned(),
        "max_wal_senders=0".to_owned(),
        "max_wal_size=1GB".to_owned(),
    ];
    if tuning == Tuning::Throwaway {
        // A killed process loses nothing by this: the kernel has what was written. Only a power failure would.
        settings.extend(["fsync=off", "full_page_writes=off"].map(str::to_owned));
    }
    settings
}

fn text_after(path: &Path, start: u64) -> String {
    let read = || {
        let mut file = fs::File::open(path)?;
        file.seek(SeekFrom::Start(start))?;
        let mut text = Vec::new();
        file.take(64 << 10).read_to_end(&mut text)?;
        std::io::Result::Ok(String::from_utf8_lossy(&text).into_owned())
    };
    read().unwrap_or_default()
}

//! Embedded PostgreSQL, for the demo and the tests: the installed server programs on a private cluster.
//!
//! It ends with us, however we end, and keeps its data between starts. Over the Unix socket, whose folder only the cluster's user
//! (and root) may enter, it trusts; over loopback it asks for a generated password. The only SQL here administers databases.

mod binaries;
mod cluster;
mod identity;
mod postmaster;

use crate::lifeline::Tied;
use cluster::Cluster;
use nix::sys::signal::Signal;
use postmaster::Failure;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The one role of a cluster; it may do everything.
const ROLE: &str = "tuberry";

/// How hard the cluster works to survive a power failure. Neither loses a commit when processes are killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tuning {
    /// PostgreSQL's defaults: a commit is on the disk.
    Durable,
    /// A commit is with the kernel: several times faster, for tests.
    Throwaway,
}

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cluster is `<data_dir>/postgres`. Made when missing.
    pub data_dir: PathBuf,
    /// Loopback port; a free one if `None`.
    pub port: Option<u16>,
    /// Durable, or fast.
    pub tuning: Tuning,
}

/// How a restart ends the running server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Sessions are ended, everything is written.
    Fast,
    /// No checkpoint: the next start recovers from the log.
    Immediate,
    /// `kill -9` of the server process.
    Killed,
}

/// Why there is no embedded PostgreSQL.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("no PostgreSQL 14 or later found: install it (apt install postgresql, brew install postgresql)")]
    NotInstalled,
    #[error(
        "the cluster was made by PostgreSQL {cluster}, but {installed} is installed: install {cluster} or remove the data directory"
    )]
    OtherVersion { cluster: u32, installed: u32 },
    #[error("{} is in use by another process", data_dir.display())]
    InUse { data_dir: PathBuf },
    #[error("{} belongs to user {owner}: run as that user, or choose another data directory", folder.display())]
    NotOurs { folder: PathBuf, owner: u32 },
    #[error("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody")]
    NoOtherUser,
    #[error("PostgreSQL's user cannot enter {}: choose another data directory", folder.display())]
    Unreachable { folder: PathBuf },
    #[error("{}: {error}", path.display())]
    Folder { path: PathBuf, error: io::Error },
    #[error("{} does not run: {error}", path.display())]
    Program { path: PathBuf, error: io::Error },
    #[error("initdb failed: {output}")]
    Initdb { output: String },
    #[error("PostgreSQL does not start: {log}")]
    Start { log: String },
    #[error("port {port} is taken")]
    PortTaken { port: u16 },
    #[error("database names are 1 to 63 of a-z, 0-9 and _: {0:?}")]
    Name(String),
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}

impl Error {
    fn folder(path: &Path, error: io::Error) -> Self {
        Self::Folder { path: path.to_path_buf(), error }
    }

    fn program(path: &Path, error: io::Error) -> Self {
        Self::Program { path: path.to_path_buf(), error }
    }
}

/// A running cluster. Dropping it stops the server (and blocks for that moment); [`Embedded::stop`] is the polite way.
#[derive(Debug)]
pub struct Embedded {
    cluster: Cluster,
    tuning: Tuning,
    port: u16,
    server: Mutex<Tied>,
    /// One restart at a time.
    restarting: tokio::sync::Mutex<()>,
}

impl Embedded {
    /// Opens or makes the cluster and starts the server. A server that a killed process of ours left behind is ended first.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let Options { data_dir, port, tuning } = options;
        let cluster = tokio::task::spawn_blocking(move || Cluster::open(&data_dir, tuning))
            .await
            .map_err(|error| Error::Start { log: error.to_string() })??;
        postmaster::end_left_behind(&cluster.data()).await;
        let (server, port) = launch(&cluster, port, tuning).await?;
        Ok(Self { cluster, tuning, port, server: Mutex::new(server), restarting: tokio::sync::Mutex::new(()) })
    }

    /// URL of a database over loopback. It holds the password.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ROLE}:{}@127.0.0.1:{}/{database}", self.cluster.password, self.port)
    }

    /// URL of a database over the Unix socket, for processes of the same user or of root. No secret in it, and faster.
    pub fn socket_url(&self, database: &str) -> String {
        let mut folder = String::new();
        for byte in self.cluster.socket.as_os_str().as_encoded_bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => folder.push(char::from(*byte)),
                other => folder.push_str(&format!("%{other:02X}")),
            }
        }
        format!("postgres://{ROLE}@localhost:{}/{database}?host={folder}", self.port)
    }

    /// Process id of the server.
    pub fn pid(&self) -> u32 {
        self.server().pid()
    }

    /// The loopback port; the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The cluster's folder, which is not always below the data directory.
    pub fn folder(&self) -> &Path {
        &self.cluster.folder
    }

    /// Waits until the present server ends, by itself or by a restart.
    pub async fn ended(&self) -> Option<ExitStatus> {
        let server = self.server().clone();
        server.wait().await
    }

    /// Ends the server, if it still runs, and starts it again on the same port.
    pub async fn restart(&self, how: Restart) -> Result<(), Error> {
        let _one_at_a_time = self.restarting.lock().await;
        let server = self.server().clone();
        match how {
            Restart::Fast => {}
            Restart::Immediate => server.signal(Signal::SIGQUIT),
            Restart::Killed => server.signal(Signal::SIGKILL),
        }
        if how != Restart::Fast {
            let _ = tokio::time::timeout(Duration::from_secs(10), server.wait()).await;
        }
        postmaster::stop(&server).await;
        let (server, _) = launch(&self.cluster, Some(self.port), self.tuning).await?;
        *self.server() = server;
        Ok(())
    }

    /// Ends the server and waits for it.
    pub async fn stop(self) {
        let server = self.server().clone();
        postmaster::stop(&server).await;
    }

    /// Makes a database, as a copy of `template` if given. Nobody may be connected to the template.
    pub async fn create_database(&self, name: &str, template: Option<&str>) -> Result<(), Error> {
        let name = identifier(name)?;
        let mut statement = format!("create database {name}");
        if let Some(template) = template {
            statement.push_str(&format!(" template {}", identifier(template)?));
            // Measured for the empty schema: 30 ms against 50 ms. PostgreSQL 14 copies files anyway and does not know the word.
            if self.cluster.binaries.major >= 15 {
                statement.push_str(" strategy file_copy");
            }
        }
        self.administer(statement).await
    }

    /// Makes a database unless it exists.
    pub async fn ensure_database(&self, name: &str) -> Result<(), Error> {
        match self.create_database(name, None).await {
            Err(Error::Database(sqlx::Error::Database(error))) if error.code().as_deref() == Some("42P04") => Ok(()),
            result => result,
        }
    }

    /// Drops a database and ends the sessions in it. One that does not exist is fine.
    pub async fn drop_database(&self, name: &str) -> Result<(), Error> {
        self.administer(format!("drop database if exists {} with (force)", identifier(name)?)).await
    }

    async fn administer(&self, statement: String) -> Result<(), Error> {
        let options: PgConnectOptions = self.socket_url("postgres").parse()?;
        let mut connection: PgConnection =
            options.options([("client_min_messages", "warning")]).disable_statement_logging().connect().await?;
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }

    fn server(&self) -> MutexGuard<'_, Tied> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        postmaster::stop_now(&self.server().clone());
    }
}

/// A port of loopback that nobody uses at this moment.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Starts the server on `port`, or on a free one; tries again for a while where that may help.
async fn launch(cluster: &Cluster, port: Option<u16>, tuning: Tuning) -> Result<(Tied, u16), Error> {
    let mut attempts = 0;
    loop {
        let on = match port {
            Some(port) => port,
            None => free_port().map_err(|error| Error::folder(&cluster.folder, error))?,
        };
        attempts += 1;
        match postmaster::start(cluster, on, tuning).await {
            Ok(server) => return Ok((server, on)),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::PortTaken) if attempts >= 20 => return Err(Error::PortTaken { port: on }),
            Err(Failure::StillEnding) if attempts >= 100 => {
                return Err(Error::Start { log: "the server before does not end".to_owned() });
            }
            Err(Failure::PortTaken | Failure::StillEnding) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Names that need no quoting; statements that administer databases take no parameters.
fn identifier(name: &str) -> Result<&str, Error> {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
    if (1..=63).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        Ok(name)
    } else {
        Err(Error::Name(name.to_owned()))
    }
}

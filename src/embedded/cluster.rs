//! A cluster's folder: where it is, whom it belongs to, its lock, its password, and the files that `initdb` makes.
//!
//! ```text
//! <data-dir>/postgres.lock      held while somebody runs the cluster
//! <data-dir>/postgres/          only for the cluster's user (or a link, see `place`)
//!     data/                     PostgreSQL's own
//!     run/                      the Unix socket
//!     password                  of the one role, for connections over loopback
//!     postgres.log              what the server says; postgres.log.1 is the one before
//! ```

use super::binaries::Binaries;
use super::identity::Identity;
use super::{Error, ROLE, Tuning};
use crate::random;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A socket's whole path must fit into `sockaddr_un`: 108 bytes with the final zero on Linux, 104 on macOS.
const LONGEST_SOCKET_PATH: usize = 103;
/// A log longer than this is put aside at the next start.
const LONG_LOG: u64 = 8 << 20;

/// An initialised cluster, locked by us.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) folder: PathBuf,
    pub(super) identity: Identity,
    pub(super) binaries: Binaries,
    pub(super) password: String,
    /// Folder of the Unix socket.
    pub(super) socket: PathBuf,
    _lock: File,
}

impl Cluster {
    /// Opens the cluster of `data_dir`, and makes it when there is none.
    pub(super) fn open(data_dir: &Path, tuning: Tuning) -> Result<Self, Error> {
        fs::create_dir_all(data_dir).map_err(|error| Error::folder(data_dir, error))?;
        let data_dir = data_dir.canonicalize().map_err(|error| Error::folder(data_dir, error))?;
        let lock = lock(&data_dir)?;
        let link = data_dir.join("postgres");
        let existing = link.canonicalize().ok();
        let identity = Identity::choose(existing.as_deref())?;
        let folder = match existing {
            Some(folder) => folder,
            None => place(&data_dir, &link, identity, tuning).map_err(|error| Error::folder(&link, error))?,
        };
        if !identity.can_enter(&folder).map_err(|error| Error::folder(&folder, error))? {
            return Err(Error::Unreachable { folder });
        }
        let version = fs::read_to_string(folder.join("data/PG_VERSION")).ok();
        let binaries = Binaries::find(version.as_deref().and_then(|major| major.trim().parse().ok()))?;
        if version.is_none() {
            initialise(&folder, identity, &binaries, tuning)?;
        }
        let read = || {
            let password = fs::read_to_string(folder.join("password"))?;
            Ok((password.trim().to_owned(), socket_folder(&folder, identity)?))
        };
        let (password, socket) = read().map_err(|error| Error::folder(&folder, error))?;
        Ok(Self { folder, identity, binaries, password, socket, _lock: lock })
    }

    /// PostgreSQL's data directory.
    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The server's log, open for appending, and where new lines will begin.
    pub(super) fn log(&self) -> io::Result<(File, u64)> {
        let path = self.log_path();
        if path.metadata().is_ok_and(|log| log.len() > LONG_LOG) {
            fs::rename(&path, path.with_extension("log.1"))?;
        }
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
        self.identity.own(&path)?;
        let length = file.metadata()?.len();
        Ok((file, length))
    }

    pub(super) fn log_path(&self) -> PathBuf {
        self.folder.join("postgres.log")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !self.socket.starts_with(&self.folder) {
            let _ = fs::remove_dir_all(&self.socket);
        }
    }
}

/// At most one process runs the cluster of a data directory; the kernel gives the lock back when that process dies.
fn lock(data_dir: &Path) -> Result<File, Error> {
    let path = data_dir.join("postgres.lock");
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| Error::folder(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Error::InUse { data_dir: data_dir.to_path_buf() }),
        Err(fs::TryLockError::Error(error)) => Err(Error::folder(&path, error)),
    }
}

/// Makes the cluster's folder: `<data-dir>/postgres`, or, where PostgreSQL's user may not enter (a checkout below `/root`), a folder
/// of our own that `<data-dir>/postgres` then links to: below `/var/lib/tuberry`, or the temporary folder for throw-away data.
fn place(data_dir: &Path, link: &Path, identity: Identity, tuning: Tuning) -> io::Result<PathBuf> {
    if link.symlink_metadata().is_ok() {
        // A link that leads nowhere: what it led to is gone.
        fs::remove_file(link)?;
    }
    if identity.can_enter(data_dir)? {
        private_folder(link, identity)?;
        return link.canonicalize();
    }
    let parent = match tuning {
        Tuning::Durable => {
            let parent = PathBuf::from("/var/lib/tuberry");
            DirBuilder::new().recursive(true).mode(0o755).create(&parent)?;
            parent
        }
        Tuning::Throwaway => std::env::temp_dir(),
    };
    let folder = parent.join(format!("tuberry-postgres-{}", random::token(24)));
    private_folder(&folder, identity)?;
    symlink(&folder, link)?;
    tracing::info!(folder = %folder.display(), link = %link.display(), "PostgreSQL's user cannot enter the data directory: cluster made elsewhere");
    Ok(folder)
}

/// Runs `initdb` in a folder beside the final one, so that an interrupted one leaves nothing that looks like a cluster.
fn initialise(folder: &Path, identity: Identity, binaries: &Binaries, tuning: Tuning) -> Result<(), Error> {
    let unfinished = folder.join("data.new");
    let password = folder.join("password");
    let prepare = || {
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        let _ = fs::remove_file(&password);
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&password)?;
        writeln!(file, "{}", random::token(24))?;
        identity.own(&password)
    };
    prepare().map_err(|error| Error::folder(folder, error))?;
    let program = binaries.program("initdb");
    let mut command = Command::new(&program);
    clean_environment(&mut command);
    identity.apply(&mut command);
    command
        .arg(format!("--pgdata={}", unfinished.display()))
        .arg(format!("--pwfile={}", password.display()))
        .arg(format!("--username={ROLE}"))
        .args(["--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8"])
        // macOS has no C.UTF-8; there, characters beyond ASCII are not sorted or lowered, which nothing depends on.
        .arg(if cfg!(target_os = "macos") { "--locale=C" } else { "--locale=C.UTF-8" })
        .args((tuning == Tuning::Throwaway).then_some("--no-sync"))
        .stdin(Stdio::null());
    let output = command.output().map_err(|error| Error::program(&program, error))?;
    if !output.status.success() {
        return Err(Error::Initdb { output: String::from_utf8_lossy(&output.stderr).trim().to_owned() });
    }
    fs::rename(&unfinished, folder.join("data")).map_err(|error| Error::folder(folder, error))
}

/// `run/` in the cluster's folder; for paths too long for a socket, a folder in the temporary one.
fn socket_folder(folder: &Path, identity: Identity) -> io::Result<PathBuf> {
    let run = folder.join("run");
    if run.as_os_str().len() + "/.s.PGSQL.65535.lock".len() > LONGEST_SOCKET_PATH {
        let short = std::env::temp_dir().join(format!("tuberry-{}", random::token(9)));
        private_folder(&short, identity)?;
        return Ok(short);
    }
    if !run.exists() {
        private_folder(&run, identity)?;
    }
    Ok(run)
}

/// A new folder that nobody else may enter. Fails if something of that name exists.
fn private_folder(path: &Path, identity: Identity) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)?;
    identity.own(path)
}

/// Nothing of our environment (`PGDATA`, `PGOPTIONS`, our secrets) reaches PostgreSQL.
pub(super) fn clean_environment(command: &mut Command) {
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("TZ", "UTC");
    if !cfg!(target_os = "macos") {
        command.env("LC_ALL", "C.UTF-8");
    }
}

//! Finding PostgreSQL's server programs on this machine.

use super::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest major version that we run.
const OLDEST: u32 = 14;

/// One installation of PostgreSQL.
#[derive(Clone, Debug)]
pub(super) struct Binaries {
    folder: PathBuf,
    /// Major version, for example 15.
    pub(super) major: u32,
}

impl Binaries {
    /// The best installation; with `major`, the best of that version, because a cluster's files belong to one.
    pub(super) fn find(major: Option<u32>) -> Result<Self, Error> {
        let found: Vec<Self> = folders().into_iter().filter_map(Self::in_folder).collect();
        match (found.first(), major) {
            (None, _) => Err(Error::NotInstalled),
            (Some(first), None) => Ok(first.clone()),
            (Some(first), Some(major)) => found
                .iter()
                .find(|binaries| binaries.major == major)
                .cloned()
                .ok_or(Error::OtherVersion { cluster: major, installed: first.major }),
        }
    }

    /// Path of one of the programs, for example `initdb`.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn in_folder(folder: PathBuf) -> Option<Self> {
        if !folder.join("initdb").is_file() {
            return None;
        }
        let output = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
        let major = major_version(std::str::from_utf8(&output.stdout).ok()?)?;
        (major >= OLDEST).then_some(Self { folder, major })
    }
}

/// Where to look, best first: `PATH`, Debian's folders (newest first), `pg_config`, Homebrew.
fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for folder in std::env::var_os("PATH").iter().flat_map(std::env::split_paths) {
        // A link in PATH leads to the folder where the other programs are.
        if let Some(folder) = folder.join("postgres").canonicalize().ok().as_deref().and_then(Path::parent) {
            folders.push(folder.to_path_buf());
        }
    }
    folders.extend(versioned("/usr/lib/postgresql", ""));
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        folders.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    for homebrew in ["/opt/homebrew/opt", "/usr/local/opt"] {
        folders.extend(versioned(homebrew, "postgresql@"));
    }
    folders
}

/// `<parent>/<prefix><version>/bin`, newest version first.
fn versioned(parent: &str, prefix: &str) -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some((name.strip_prefix(prefix)?.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

/// 15 from `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, 18 from `postgres (PostgreSQL) 18beta1`.
fn major_version(version: &str) -> Option<u32> {
    let number = version.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_postgres_prints() {
        assert_eq!(major_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_version("postgres: not found"), None);
    }
}

//! Which user PostgreSQL runs as: it refuses root.

use super::Error;
use nix::unistd::{Gid, Uid, User, geteuid};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// The user of a cluster's files and processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// We are an ordinary user: the cluster is ours.
    Ourselves,
    /// We are root: the cluster belongs to this user.
    Other { uid: Uid, gid: Gid },
}

impl Identity {
    /// The owner of an existing cluster; for a new one (`None`) us, or as root the user `postgres`, else `nobody`.
    pub(super) fn choose(cluster: Option<&Path>) -> Result<Self, Error> {
        let owner = cluster.and_then(|folder| folder.metadata().ok());
        if !geteuid().is_root() {
            return match owner {
                Some(owner) if owner.uid() != geteuid().as_raw() => {
                    Err(Error::NotOurs { folder: cluster.map(Path::to_path_buf).unwrap_or_default(), owner: owner.uid() })
                }
                _ => Ok(Self::Ourselves),
            };
        }
        if let Some(owner) = owner.filter(|owner| owner.uid() != 0) {
            return Ok(Self::Other { uid: Uid::from_raw(owner.uid()), gid: Gid::from_raw(owner.gid()) });
        }
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .map(|user| Self::Other { uid: user.uid, gid: user.gid })
            .ok_or(Error::NoOtherUser)
    }

    /// Makes `command` run as this user, in a folder that every user may enter.
    pub(super) fn apply(self, command: &mut Command) {
        command.current_dir("/");
        if let Self::Other { uid, gid } = self {
            command.uid(uid.as_raw()).gid(gid.as_raw());
        }
    }

    /// Gives a file or folder that we made to this user.
    pub(super) fn own(self, path: &Path) -> std::io::Result<()> {
        match self {
            Self::Ourselves => Ok(()),
            Self::Other { uid, gid } => chown(path, Some(uid.as_raw()), Some(gid.as_raw())),
        }
    }

    /// Whether this user may enter `folder`. Asked of the system itself, which knows of groups and access lists.
    pub(super) fn can_enter(self, folder: &Path) -> std::io::Result<bool> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "cd -- \"$0\""]).arg(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.apply(&mut command);
        Ok(command.status()?.success())
    }
}

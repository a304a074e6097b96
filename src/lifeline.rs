//! Child processes that cannot outlive us: spawning, signalling and awaiting them.
//!
//! On Linux a child gets a signal from the kernel when we die, however we die (`PR_SET_PDEATHSIG`). The kernel means the *thread*
//! that forked, so all children of a process are forked by one thread that never ends.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, mpsc};
use tokio::sync::{oneshot, watch};

type Order = (Command, oneshot::Sender<io::Result<Child>>);

/// The thread that forks: it waits for orders as long as the process lives.
static FORKS: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
    let (orders, inbox) = mpsc::channel::<Order>();
    std::thread::spawn(move || {
        for (mut command, answer) in inbox {
            let _ = answer.send(command.spawn());
        }
    });
    orders
});

/// A running or ended child. Clones are handles to the same process; dropping them does not end it.
#[derive(Clone, Debug)]
pub struct Tied {
    pid: Pid,
    /// True once the process id may belong to somebody else; held while signalling.
    reaped: Arc<Mutex<bool>>,
    ended: watch::Receiver<Option<ExitStatus>>,
}

/// Starts `command`; when this process dies, the child gets `on_our_death` (Linux; elsewhere it lives on). It has a process group of
/// its own: Ctrl-C in a terminal reaches us alone, and we end our children in the order that they need.
pub async fn spawn(mut command: Command, on_our_death: Signal) -> io::Result<Tied> {
    command.process_group(0);
    tie(&mut command, on_our_death);
    let (answer, child) = oneshot::channel();
    FORKS.send((command, answer)).map_err(io::Error::other)?;
    let child = child.await.map_err(io::Error::other)??;
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let reaped = Arc::new(Mutex::new(false));
    let (end, ended) = watch::channel(None);
    std::thread::spawn({
        let reaped = reaped.clone();
        move || reap(child, &reaped, &end)
    });
    Ok(Tied { pid, reaped, ended })
}

impl Tied {
    /// The process id, also after the end.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// Sends a signal. A process that has ended gets none.
    pub fn signal(&self, signal: Signal) {
        if !*held(&self.reaped) {
            let _ = kill(self.pid, signal);
        }
    }

    /// How it ended, or `None` while it runs.
    pub fn ended(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Waits for the end. `None` only when the operating system would not tell.
    pub async fn wait(&self) -> Option<ExitStatus> {
        let mut ended = self.ended.clone();
        ended.wait_for(Option::is_some).await.ok().and_then(|status| *status)
    }
}

fn held(reaped: &Mutex<bool>) -> MutexGuard<'_, bool> {
    reaped.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for the child and collects it, so that no signal can reach a stranger with the same id in between.
fn reap(mut child: Child, reaped: &Mutex<bool>, end: &watch::Sender<Option<ExitStatus>>) {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::wait::{Id, WaitPidFlag, waitid};
        if let Ok(pid) = i32::try_from(child.id()) {
            while waitid(Id::Pid(Pid::from_raw(pid)), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(nix::Error::EINTR) {}
        }
        let mut reaped = held(reaped);
        let status = child.wait().ok();
        *reaped = true;
        drop(reaped);
        let _ = end.send(status);
    }
    #[cfg(not(target_os = "linux"))]
    {
        let status = child.wait().ok();
        *held(reaped) = true;
        let _ = end.send(status);
    }
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "pre_exec is unsafe; the closure only makes two system calls, which are async-signal-safe")]
fn tie(command: &mut Command, on_our_death: Signal) {
    let us = nix::unistd::getpid();
    // SAFETY: between fork and exec the closure calls prctl and getppid only, and allocates nothing.
    unsafe {
        command.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(on_our_death)?;
            // We may have died before the line above.
            if nix::unistd::getppid() == us { Ok(()) } else { Err(nix::Error::ESRCH.into()) }
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn tie(_command: &mut Command, _on_our_death: Signal) {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_child_lives_on_when_the_thread_that_asked_for_it_ends() {
        let child = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let mut command = Command::new("sleep");
            command.arg("60");
            runtime.block_on(spawn(command, Signal::SIGKILL)).unwrap()
        })
        .join()
        .unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(child.ended(), None);
        child.signal(Signal::SIGTERM);
        let status = tokio::time::timeout(Duration::from_secs(5), child.wait()).await.unwrap().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
        child.signal(Signal::SIGTERM);
    }
}

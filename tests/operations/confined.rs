//! As in a container: not root, nothing can be written, no home, in `/`.

use crate::support::{Process, Setup, Stack, free_port, wait_until};
use nix::sys::signal::Signal;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

/// How a command is confined, as far as this machine lets us.
struct Cell {
    words: Vec<String>,
    /// The program where anybody may execute it.
    program: String,
    _folder: tempfile::TempDir,
}

impl Cell {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let program = folder.path().join("tuberry");
        if std::fs::hard_link(env!("CARGO_BIN_EXE_tuberry"), &program).is_err() {
            std::fs::copy(env!("CARGO_BIN_EXE_tuberry"), &program).unwrap();
        }
        let mut words = Vec::new();
        if nix::unistd::geteuid().is_root() {
            let read_only = "mount -o remount,bind,ro /";
            let unshared = ["unshare", "--mount", "sh", "-c"];
            if Command::new(unshared[0]).args(&unshared[1..]).arg(read_only).output().is_ok_and(|output| output.status.success())
            {
                words.extend(unshared.map(str::to_owned));
                words.extend([format!(r#"{read_only} && exec "$@""#), "sh".to_owned()]);
            }
            let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", "--bounding-set=-all"];
            words.extend(nobody.map(str::to_owned));
        }
        words.extend(["env", "-u", "HOME", "-C", "/"].map(str::to_owned));
        Self { words, program: program.to_str().unwrap().to_owned(), _folder: folder }
    }

    async fn tuberry(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Process {
        let mut words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        words.push(&self.program);
        words.extend(arguments);
        Process::start(words[0], &words[1..], environment).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_image_runs_without_rights() {
    let stack = Stack::start(Setup { workers: 0, own_cluster: true, ..Setup::default() }).await;
    let url = stack.cluster().embedded.url("tuberry");
    let (listen, worker_listen) = (format!("0.0.0.0:{}", free_port()), format!("127.0.0.1:{}", free_port()));
    let environment = stack.environment_with(&[("DATABASE_URL", &url), ("LISTEN", &listen), ("WORKER_LISTEN", &worker_listen)]);
    let cell = Cell::new();
    let migrate = cell.tuberry(&["migrate"], &environment).await;
    assert!(migrate.wait().await.success(), "{}", migrate.output());
    let (api, worker) = (cell.tuberry(&["api"], &environment).await, cell.tuberry(&["worker"], &environment).await);
    for process in ["api", "worker"] {
        wait_until(SOON, &format!("{process} is ready"), async || {
            let health = cell.tuberry(&["health", process, "--ready"], &environment).await;
            health.wait().await.success().then_some(())
        })
        .await;
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.pid())).unwrap();
    if nix::unistd::geteuid().is_root() {
        assert!(status.lines().any(|line| line.starts_with("Uid:\t65534")), "{status}");
    }
    let anna = stack.person("Анна").await;
    stack.connect(anna).await;
    for process in [api, worker] {
        process.signal(Signal::SIGTERM);
        assert!(process.wait().await.success(), "{}", process.output());
    }
    let health = cell.tuberry(&["health", "worker"], &environment).await;
    assert!(!health.wait().await.success(), "nobody is there any more");
}

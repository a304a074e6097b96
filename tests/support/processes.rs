//! Real processes of our binary: killed when dropped, their output kept and shown when the test fails.

use nix::sys::signal::Signal;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tuberry::lifeline::{self, Tied};

/// Lines of output shown when a test fails.
const SHOWN: usize = 60;

/// A process of `tuberry`, or of another program.
pub struct Process {
    name: String,
    process: Tied,
    log: PathBuf,
}

impl Process {
    /// Starts `tuberry` with these arguments; of our environment it gets only `PATH` and `HOME`, and then `environment`.
    pub async fn tuberry(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start(env!("CARGO_BIN_EXE_tuberry"), arguments, environment).await
    }

    /// The same for any program.
    pub async fn start(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("process-{}-{number}.log", std::process::id()));
        let file = File::create(&log).expect("a log below target/tmp");
        let mut command = Command::new(program);
        command.args(arguments).env_clear();
        for name in ["PATH", "HOME"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("RUST_BACKTRACE", "1").envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(file.try_clone().expect("a file handle")).stderr(file);
        let process = lifeline::spawn(command, Signal::SIGKILL).await.expect("a program that starts");
        let name = format!("{} {}", Path::new(program).file_name().unwrap_or_default().to_string_lossy(), arguments.join(" "));
        Self { name, process, log }
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// How it ended, or `None` while it runs.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.process.ended()
    }

    /// Waits for its end.
    pub async fn wait(&self) -> ExitStatus {
        self.process.wait().await.expect("an exit status")
    }

    /// `kill -9`, and waits until it is gone.
    pub async fn kill(&self) {
        self.signal(Signal::SIGKILL);
        self.wait().await;
    }

    /// Everything that it printed so far.
    pub fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// A command that has ended.
pub struct Ended {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `tuberry` to its end, with this environment and nothing else.
pub async fn run(arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Ended {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_tuberry"));
    command.args(arguments).env_clear().envs(environment.iter().copied()).kill_on_drop(true);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a program");
    let mut stdin = child.stdin.take().expect("an input");
    // A program that does not ask for input may have ended already.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output =
        tokio::time::timeout(Duration::from_secs(120), child.wait_with_output()).await.expect("an end").expect("its output");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    Ended { success: output.status.success(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.process.signal(Signal::SIGKILL);
        if std::thread::panicking() {
            let output = self.output();
            let lines: Vec<&str> = output.lines().collect();
            eprintln!("--- {} (pid {}) said at last:", self.name, self.pid());
            for line in &lines[lines.len().saturating_sub(SHOWN)..] {
                eprintln!("{line}");
            }
        }
        let _ = fs::remove_file(&self.log);
    }
}

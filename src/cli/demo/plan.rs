//! What each process of the demo is started with: ports, arguments, environment.

use super::seed::Seed;
use crate::embedded::free_port;
use anyhow::{Context, Result};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Variables of ours that reach the processes. All else comes from here: a `DATABASE_URL` or `REDIS_URL` of the machine is none of
/// the demo's business.
const PASSED_ON: &[&str] = &["PATH", "HOME", "RUST_LOG", "RUST_BACKTRACE", "PERSONAL_TELEGRAM_QR_TIMEOUT", "WORKER_MAX_ACCOUNTS"];

/// One process to start, again and again when it dies.
#[derive(Clone, Debug)]
pub(super) struct Process {
    /// Names its log.
    pub(super) name: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    program: PathBuf,
}

impl Process {
    /// The command, without its output.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Addresses and environment of this run.
pub(super) struct Plan {
    pub(super) listen: SocketAddr,
    pub(super) simulator_url: String,
    /// Whether workers ask for the bot's updates, instead of a webhook.
    pub(super) polling: bool,
    program: PathBuf,
    mtproto: SocketAddr,
    http: SocketAddr,
    simulator_data: PathBuf,
    environment: Vec<(String, String)>,
}

impl Plan {
    pub(super) fn new(data_dir: &Path, listen: SocketAddr, database_url: &str) -> Result<Self> {
        let listen = if listen.port() == 0 {
            SocketAddr::new(listen.ip(), free_port()?)
        } else {
            TcpListener::bind(listen)
                .with_context(|| format!("cannot listen on {listen}: choose another with --listen"))?
                .local_addr()?
        };
        let mtproto = SocketAddr::from((Ipv4Addr::LOCALHOST, two_free_ports()?));
        let http = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let simulator_url = format!("http://{http}");
        let polling = std::env::var("BOT_UPDATES").is_ok_and(|how| how == "polling");
        let mut environment: Vec<(String, String)> =
            PASSED_ON.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))).collect();
        let mut set = |name: &str, value: &str| environment.push((name.to_owned(), value.to_owned()));
        set("DATABASE_URL", database_url);
        set("TELEGRAM_SIMULATOR", &simulator_url);
        set("LISTEN", &listen.to_string());
        set("WEBHOOK_BASE_URL", &super::reachable_url(listen));
        set("BOT_UPDATES", if polling { "polling" } else { "webhook" });
        set("JWT_EXPIRES", &super::DAY.as_secs().to_string());
        let program = std::env::current_exe().context("finding our own program")?;
        let simulator_data = data_dir.join("simulator");
        Ok(Self { listen, simulator_url, polling, program, mtproto, http, simulator_data, environment })
    }

    /// Adds what the processes need to know of the seed.
    pub(super) fn secrets(&mut self, seed: &Seed) {
        self.environment.push(("APP_SECRET".to_owned(), seed.app_secret.clone()));
        self.environment.push(("JWT_SECRET".to_owned(), seed.jwt_secret.clone()));
        self.environment.push(("DEMO_OWNER".to_owned(), format!("{} {}", super::seed::OWNER, seed.password)));
    }

    pub(super) fn simulator(&self) -> Process {
        let data = self.simulator_data.display();
        let arguments = [
            "simulator",
            "--mtproto",
            &self.mtproto.to_string(),
            "--http",
            &self.http.to_string(),
            "--data-dir",
            &data.to_string(),
        ];
        self.process("simulator", &arguments)
    }

    pub(super) fn api(&self) -> Process {
        self.process("api", &["api"])
    }

    pub(super) fn worker(&self, number: u16) -> Process {
        self.process(&format!("worker-{number}"), &["worker"])
    }

    fn process(&self, name: &str, arguments: &[&str]) -> Process {
        Process {
            name: name.to_owned(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            environment: self.environment.clone(),
            program: self.program.clone(),
        }
    }
}

/// A free port whose next one is free too: the simulator's second data centre takes it.
fn two_free_ports() -> Result<u16> {
    for _ in 0..100 {
        let first = free_port()?;
        if first < u16::MAX && TcpListener::bind((Ipv4Addr::LOCALHOST, first + 1)).is_ok() {
            return Ok(first);
        }
    }
    anyhow::bail!("no two free ports in a row")
}

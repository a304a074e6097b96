//! `tuberry health`: asks `api` or `worker` on this host, so that an image needs no other program for its health check.

use crate::config::{Settings, process_environment};
use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// How long the process may take for its answer.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Which process: its address is LISTEN or WORKER_LISTEN.
    #[arg(value_enum)]
    process: Process,
    /// Ask whether it can work (`/readyz`), not only whether it lives (`/healthz`).
    #[arg(long)]
    ready: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Process {
    Api,
    Worker,
}

pub(super) async fn run(options: &Options) -> Result<()> {
    // The process itself refuses what cannot be used; here only an address matters.
    let (settings, _) = Settings::examine(&process_environment);
    let address = match options.process {
        Process::Api => settings.listen,
        Process::Worker => settings.worker_listen.context("WORKER_LISTEN: must be set")?,
    };
    let path = if options.ready { "readyz" } else { "healthz" };
    let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build()?;
    let answer = client.get(format!("http://{}/{path}", reachable(address))).send().await.map_err(reqwest::Error::without_url);
    let answer = answer.with_context(|| format!("nobody answers at {address}"))?;
    let status = answer.status();
    println!("{}", answer.text().await.unwrap_or_default());
    ensure!(status.is_success(), "/{path} says {status}");
    Ok(())
}

/// Where a process that listens at `address` is reached from its own host.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_reached_on_loopback() {
        for (listens, reached) in [("0.0.0.0:8080", "127.0.0.1:8080"), ("[::]:1", "[::1]:1"), ("10.0.0.5:80", "10.0.0.5:80")] {
            assert_eq!(reachable(listens.parse().unwrap()).to_string(), reached);
        }
    }
}

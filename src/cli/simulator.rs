//! `tuberry simulator`: the library of `telegram-simulator` in a process of our own binary, so that the demo needs no other. Hidden.

use super::asked_to_stop;
use anyhow::Result;
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;
use telegram_simulator::Simulator;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Where DC 2 listens; DC 4 takes the next port.
    #[arg(long)]
    mtproto: SocketAddr,
    /// Where HTTP listens: Bot API, control API and page.
    #[arg(long)]
    http: SocketAddr,
    /// Where the world is kept between runs.
    #[arg(long)]
    data_dir: PathBuf,
}

pub(super) async fn run(options: Options) -> Result<()> {
    let Options { mtproto, http, data_dir } = options;
    let simulator =
        Simulator::start(telegram_simulator::Options { mtproto, http, data_dir: Some(data_dir), ..Default::default() }).await?;
    tracing::info!(url = simulator.http_url(), "simulating Telegram");
    asked_to_stop().await;
    simulator.stop().await;
    Ok(())
}

//! `tuberry api`: the REST interface and the bots' webhooks.

use super::{asked_to_stop, open_store};
use crate::config::Settings;
use anyhow::{Context, Result};
use clap::Args;
use std::net::SocketAddr;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Address to listen on, instead of LISTEN.
    #[arg(long)]
    listen: Option<SocketAddr>,
}

pub(super) async fn run(options: Options) -> Result<()> {
    let settings = Settings::from_env()?;
    let _store = open_store(&settings.database, 20).await?;
    let address = options.listen.unwrap_or(settings.listen);
    let listener = tokio::net::TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    let _ = listener;
    asked_to_stop().await;
    Ok(())
}

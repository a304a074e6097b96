//! The command line: starts the simulator and says where it listens.

use clap::Parser;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use telegram_simulator::{Options, Simulator};
use tokio::signal::unix::{SignalKind, signal};

/// Telegram on loopback: two data centres, the Bot API, a control API and a page to look at.
#[derive(Parser)]
struct Arguments {
    /// Where DC 2 listens; DC 4 takes the next port. Port 0: two free ports.
    #[arg(long, default_value = "127.0.0.1:8443")]
    mtproto: SocketAddr,
    /// Where HTTP listens: Bot API, control API and page.
    #[arg(long, default_value = "127.0.0.1:8081")]
    http: SocketAddr,
    /// Whether a second connection with the same authorization key kills the key.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    strict_keys: bool,
    /// How many seconds a login token lives.
    #[arg(long, default_value_t = 30)]
    token_lifetime: u64,
    /// Where the world is kept between runs.
    #[arg(long)]
    data_dir: Option<PathBuf>,
}

/// Nested TL values are read recursively; this is room for the longest call that is accepted.
const STACK_BYTES: usize = 64 << 20;

fn main() -> anyhow::Result<()> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_stack_size(STACK_BYTES).build()?.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let arguments = Arguments::parse();
    let simulator = Simulator::start(Options {
        mtproto: arguments.mtproto,
        http: arguments.http,
        strict_keys: arguments.strict_keys,
        token_lifetime: Duration::from_secs(arguments.token_lifetime),
        data_dir: arguments.data_dir,
    })
    .await?;
    let dcs: Vec<String> = simulator.dcs().iter().map(|(id, at)| format!("DC {id} {at}")).collect();
    println!("telegram-simulator ready: {} {}", simulator.http_url(), dcs.join(" "));
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    simulator.stop().await;
    Ok(())
}

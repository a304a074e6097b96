//! Processes that start before what they need.

use crate::support::{OwnCluster, Process, free_port, run, wait_until};
use nix::sys::signal::Signal;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use telegram_simulator::{Options, Simulator};

const SOON: Duration = Duration::from_secs(60);
const WAITING: &str = "cannot be reached, waiting for it";

/// A port where connections end at once, as at a proxy without a server behind it.
async fn closing(port: u16) -> tokio::task::JoinHandle<()> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.expect("the port is still free");
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut begun = [0; 8];
                // What was sent is read, or the end would be a reset.
                drop(tokio::io::AsyncReadExt::read_exact(&mut client, &mut begun).await);
            });
        }
    })
}

/// A port that leads to `target` from now on.
async fn open(port: u16, target: SocketAddr) {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.expect("the port is still free");
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut server = tokio::net::TcpStream::connect(target).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
}

async fn says(process: &Process, what: &str) {
    wait_until(SOON, what, async || process.output().contains(what).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_wait_for_the_database_and_for_telegram() {
    let cluster = OwnCluster::start().await;
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let (database_port, simulator_port, api_port) = (free_port(), free_port(), free_port());
    let direct = cluster.embedded.url("tuberry");
    let url = direct.replace(&format!(":{}/", cluster.embedded.port()), &format!(":{database_port}/"));
    let telegram = format!("http://127.0.0.1:{simulator_port}");
    let listen = format!("127.0.0.1:{api_port}");
    let environment = [
        ("DATABASE_URL", url.as_str()),
        ("APP_SECRET", "app"),
        ("JWT_SECRET", "jwt"),
        ("TELEGRAM_SIMULATOR", &telegram),
        ("LISTEN", &listen),
    ];
    let closed = closing(database_port).await;
    let (api, worker) = (Process::tuberry(&["api"], &environment).await, Process::tuberry(&["worker"], &environment).await);
    says(&api, WAITING).await;
    says(&worker, WAITING).await;
    // Who is asked to stop while it waits does so.
    let impatient = Process::tuberry(&["worker"], &environment).await;
    says(&impatient, WAITING).await;
    impatient.signal(Signal::SIGTERM);
    assert!(impatient.wait().await.success(), "{}", impatient.output());

    closed.abort();
    drop(closed.await);
    open(database_port, SocketAddr::from((Ipv4Addr::LOCALHOST, cluster.embedded.port()))).await;
    let health = || run(&["health", "api", "--ready"], &environment, "");
    wait_until(SOON, "an API that is ready", async || health().await.success.then_some(())).await;
    says(&worker, "the simulator").await;
    assert!(worker.ended().is_none());
    let target: SocketAddr = simulator.http_url().trim_start_matches("http://").parse().unwrap();
    open(simulator_port, target).await;
    says(&worker, "worker runs").await;
    assert_eq!(api.output().matches(WAITING).count(), 1, "once for PostgreSQL");
    assert_eq!(worker.output().matches(WAITING).count(), 2, "once for PostgreSQL and once for the simulator");
    for process in [api, worker] {
        process.signal(Signal::SIGTERM);
        assert!(process.wait().await.success(), "{}", process.output());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waiting_does_not_mend_is_refused_at_once() {
    let cluster = OwnCluster::start().await;
    let good = cluster.embedded.url("tuberry");
    let (before, after) = (good.find("tuberry:").unwrap() + "tuberry:".len(), good.find('@').unwrap());
    let wrong_password = format!("{}geheim{}", &good[..before], &good[after..]);
    let no_database = format!("{}/nothing", good.strip_suffix("/tuberry").unwrap());
    for (url, says) in [(&wrong_password, "password authentication failed"), (&no_database, "does not exist")] {
        for command in ["api", "worker"] {
            let environment = [("DATABASE_URL", url.as_str()), ("APP_SECRET", "app"), ("JWT_SECRET", "jwt")];
            let ended = run(&[command], &environment, "").await;
            let last = ended.stderr.lines().last().unwrap_or_default();
            assert!(
                !ended.success && last.starts_with("tuberry: DATABASE_URL: ") && last.contains(says),
                "{command}: {}",
                ended.stderr
            );
            assert!(!ended.stderr.contains("geheim"));
        }
    }
}

//! `tuberry demo`: a whole Tuberry on this machine, with nothing to set up: embedded PostgreSQL, a simulated Telegram, the API and
//! the workers, each a process of its own, as in production.
//!
//! ```text
//! <data-dir>/postgres/       the cluster                   <data-dir>/logs/<process>.log   what each process says
//! <data-dir>/simulator/      the simulated world           <data-dir>/pids.json            the processes of this moment
//! <data-dir>/demo.json       ids and secrets (0600)        <data-dir>/<…>.lock             one demo per data directory
//! ```

mod plan;
mod seed;
mod supervisor;
mod telegram;
mod traffic;

use super::asked_to_stop;
use super::health::reachable;
use crate::embedded::{self, Embedded, Tuning};
use crate::tokens::Tokens;
use anyhow::{Context, Result, bail};
use clap::Args;
use plan::Plan;
use seed::Seed;
use serde::Serialize;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use supervisor::{Pids, Supervisor};
use telegram::Simulated;
use tuberry_domain::{Secret, UserId};
use tuberry_storage::{Store, workers};

/// How long the processes may take until they can work; a debug build on a busy machine is slow.
const READY_TIMEOUT: Duration = Duration::from_secs(120);
/// Lifetime of the tokens that are printed.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// A worker that says nothing for so long is not counted.
const SILENT: Duration = Duration::from_secs(15);

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Address of the REST interface and the portal. Port 0: a free one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// How many workers.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// Where everything is kept. Remove it to begin anew.
    #[arg(long, default_value = ".data")]
    data_dir: PathBuf,
    /// No customers who chat, and no account connected.
    #[arg(long)]
    no_traffic: bool,
    /// Print one line of JSON when everything is ready, and nothing else.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Ready<'a> {
    url: &'a str,
    api_token: &'a str,
    admin_token: &'a str,
    email: &'a str,
    password: &'a str,
    simulator: &'a str,
    database_url: &'a str,
    data_dir: &'a Path,
    client_id: i32,
    project_id: i32,
    bot_id: i32,
    bot_token: &'a str,
    webhook_secret: &'a str,
    forum_chat_id: i64,
    pids: Pids,
}

pub(super) async fn run(options: Options) -> Result<()> {
    std::fs::create_dir_all(&options.data_dir).with_context(|| format!("{}", options.data_dir.display()))?;
    let data_dir = options.data_dir.canonicalize()?;
    let embedded = Embedded::start(embedded::Options { data_dir: data_dir.clone(), port: None, tuning: Tuning::Durable }).await?;
    let supervisor = Supervisor::start(&data_dir, embedded)?;
    // Ctrl-C while it starts ends it too, and in either case no process stays.
    let ended = tokio::select! {
        ended = serve(&options, &data_dir, &supervisor) => ended,
        () = asked_to_stop() => Ok(()),
    };
    if !options.json {
        println!("Ending…");
    }
    supervisor.stop().await;
    ended
}

/// Starts everything, says so, and keeps the traffic going. Ends only by an error.
async fn serve(options: &Options, data_dir: &Path, supervisor: &Supervisor) -> Result<()> {
    let fresh = Seed::load(data_dir)?.is_none();
    let postgres = supervisor.postgres();
    if fresh {
        // A start that was interrupted before the seed was written left halves of things.
        postgres.drop_database("tuberry").await?;
        let _ = std::fs::remove_dir_all(data_dir.join("simulator"));
    }
    postgres.ensure_database("tuberry").await?;
    // Migrations say what exists already; here that is noise.
    let quietly = format!("{}&options=-c%20client_min_messages%3Dwarning", postgres.socket_url("tuberry"));
    let store = Store::open(&quietly, 4)?;
    tuberry_jobs::queue::migrate(store.pool()).await.context("migrating")?;

    let mut plan = Plan::new(data_dir, options.listen, &postgres.socket_url("tuberry"))?;
    supervisor.simulator(plan.simulator());
    let telegram = Simulated::new(&plan.simulator_url, READY_TIMEOUT).await.context("the simulator does not start")?;
    let mut seed = match Seed::load(data_dir)? {
        Some(seed) => seed,
        None => Seed::create(data_dir, &store, &telegram).await.context("seeding")?,
    };
    plan.secrets(&seed);

    let before: BTreeSet<String> = workers::list(&store, SILENT).await?.into_iter().map(|worker| worker.name).collect();
    supervisor.api(plan.api());
    for number in 1..=options.workers {
        supervisor.worker(plan.worker(number));
    }
    let url = reachable_url(plan.listen);
    ready(&url, &store, &before, options.workers.into())
        .await
        .with_context(|| format!("not ready after {READY_TIMEOUT:?}; see {}", data_dir.join("logs").display()))?;
    telegram.point_bot(&seed, &url, plan.polling).await.context("setting the webhook")?;

    let tokens = Tokens::new(&Secret::new(seed.jwt_secret.clone()), DAY);
    let (api_token, _) = tokens.issue(UserId(seed.owner_id));
    let (admin_token, _) = tokens.issue(UserId(seed.admin_id));
    let ready = Ready {
        url: &url,
        api_token: &api_token,
        admin_token: &admin_token,
        email: seed::OWNER,
        password: &seed.password,
        simulator: &plan.simulator_url,
        database_url: &postgres.url("tuberry"),
        data_dir,
        client_id: seed.client_id,
        project_id: seed.project_id,
        bot_id: seed.bot_id,
        bot_token: &seed.bot_token,
        webhook_secret: &seed.webhook_secret,
        forum_chat_id: seed.forum_chat_id,
        pids: supervisor.pids(),
    };
    if options.json {
        println!("{}", serde_json::to_string(&ready)?);
    } else {
        announce(&ready, options.no_traffic);
    }
    if !options.no_traffic {
        traffic::run(data_dir, &mut seed, &url, &api_token, &telegram).await;
    }
    std::future::pending().await
}

/// Waits for the API to be ready and for as many new workers as were started.
async fn ready(url: &str, store: &Store, before: &BTreeSet<String>, wanted: usize) -> Result<()> {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
    let deadline = Instant::now() + READY_TIMEOUT;
    loop {
        let api = http.get(format!("{url}/readyz")).send().await.is_ok_and(|answer| answer.status().is_success());
        let new = match workers::list(store, SILENT).await {
            Ok(list) => list.iter().filter(|worker| !before.contains(&worker.name)).count(),
            Err(_) => 0,
        };
        if api && new >= wanted {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("API {}, {new} of {wanted} workers", if api { "ready" } else { "not ready" });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The address as this machine reaches it.
fn reachable_url(listen: SocketAddr) -> String {
    format!("http://{}", reachable(listen))
}

fn announce(ready: &Ready<'_>, no_traffic: bool) {
    println!();
    println!("Tuberry runs.");
    println!("  Open this             {}   {} / {}", ready.url, ready.email, ready.password);
    println!("  Telegram, simulated   {}   phones on the left, the working group on the right", ready.simulator);
    println!("  Platform's pages      {}/admin/workers   {} / the same password", ready.url, seed::ADMINISTRATOR);
    println!("  API token (a day)     {}", ready.api_token);
    println!("  Database              {}", ready.database_url);
    println!("  Data, logs, pids      {}", ready.data_dir.display());
    if no_traffic {
        println!("  No account is connected yet: the portal's first page says how.");
    } else {
        println!("  An account is being connected; then a few customers chat with it.");
    }
    println!("Ctrl-C ends everything.");
}

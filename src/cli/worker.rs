//! `tuberry worker`: runs jobs and serves a share of the accounts. Any number of workers may run side by side.

use super::asked_to_stop;
use super::patience::{Failed, failed, patiently, reached};
use crate::bridge::{Bridge, Publisher};
use crate::config::{BotUpdates, Settings, Telegram};
use crate::fleet::{Claims, Fleet, Links, Parts, Unfit};
use crate::polling::BotPolling;
use crate::telemetry::metrics::{Metrics, Recorder};
use crate::worker_port::{self, WorkerPort};
use anyhow::{Context as _, Result};
use clap::Args;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tuberry_domain::Sealer;
use tuberry_jobs::queue::{self, Queue};
use tuberry_jobs::{Context, SyncAccounts, old_sessions};
use tuberry_storage::Store;
use tuberry_storage::leases::Room;
use tuberry_storage::mirror::Mirror;
use tuberry_storage::moving::stock::{self, Taken};
use tuberry_telegram::{Device, HttpBotApi, MtprotoLogins, Network};

/// Connections of the pool: jobs and intake take them for single transactions.
const POOL: u32 = 20;

/// How long a process that stops waits for PostgreSQL to learn what Telegram has done.
const STORING: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Options {
    /// How many accounts this worker takes at most, instead of WORKER_MAX_ACCOUNTS.
    #[arg(long)]
    max_accounts: Option<u32>,
}

pub(super) async fn run(options: Options) -> Result<()> {
    let settings = Settings::from_env()?;
    let store = Store::open_for_work(settings.database.url.expose(), POOL).context("DATABASE_URL cannot be used")?;
    let recorder = settings.worker_listen.map(|_| Recorder::install()).transpose().context("metrics")?;
    let Some(store) = reached(store).await? else { return Ok(()) };
    let store = match &settings.redis {
        None => store,
        Some(client) => store.with_events(Arc::new(Publisher::start(client.clone()))),
    };
    let sealer = Arc::new(settings.sessions.sealer());
    take_in(&store, &sealer).await.context("taking in what the old system has")?;
    if let Some(proxy) = &settings.telegram.proxy {
        tracing::info!(%proxy, "accounts connect by a proxy");
    }
    let Some(network) = network(&settings.telegram).await? else { return Ok(()) };
    let network = network.with_pace(settings.worker_connects_per_second);
    let network = Arc::new(network.with_proxy(settings.telegram.proxy.clone()));
    let room = Room { capacity: options.max_accounts.unwrap_or(settings.worker_max_accounts), weight: settings.worker_weight };
    let direct_url = settings.database.direct_url.clone();

    let claims = patiently("PostgreSQL, by DATABASE_DIRECT_URL", async || {
        Claims::start(direct_url.clone(), Some(room)).await.map_err(|error| match error {
            Unfit::Database(error) => failed(error, "DATABASE_DIRECT_URL"),
            error => Failed::Final(error.into()),
        })
    });
    let Some(claims) = claims.await? else { return Ok(()) };
    let queue = Queue::start(queue::Config::new(direct_url.expose(), "worker").context("DATABASE_DIRECT_URL cannot be used")?)?;
    queue.hear_first(&store);
    let links = Links::new(claims.clone(), queue.clone());
    let context = Context {
        store: store.clone(),
        mirror: Mirror::start(store.pool()),
        bots: Arc::new(HttpBotApi::new(&settings.telegram.bot_api_base)?),
        accounts: Arc::new(links.clone()),
        logins: Arc::new(MtprotoLogins::new(network.clone())),
        claims: Arc::new(claims.clone()),
        sealer: sealer.clone(),
        retention: settings.retention,
    };
    let bots = context.bots.clone();
    let parts = Parts { store: store.clone(), direct_url, claims: claims.clone(), links, network, sealer, room };

    let (stop_jobs, stop_intake) = (CancellationToken::new(), CancellationToken::new());
    let jobs = tokio::spawn(tuberry_jobs::runner(queue.clone(), context).run(stop_jobs.clone()));
    let fleet = Fleet::start(parts);
    let port = match settings.worker_listen.zip(recorder) {
        None => None,
        Some((address, recorder)) => {
            let metrics = Metrics::new(recorder, store.clone(), Some((queue, claims.clone())));
            let port = WorkerPort { store: store.clone(), claims: claims.clone(), census: fleet.census(), metrics };
            let listener = tokio::net::TcpListener::bind(address).await;
            let listener = listener.with_context(|| format!("cannot listen on {address} (WORKER_LISTEN)"))?;
            Some(tokio::spawn(async move { axum::serve(listener, worker_port::router(port)).await }))
        }
    };
    let ticker = tokio::spawn(tick(store.clone()));
    let polling = (settings.bot_updates == BotUpdates::Polling).then(|| {
        let polling = BotPolling { store: store.clone(), claims: claims.clone(), api: bots };
        tokio::spawn(polling.run(stop_intake.clone()))
    });
    let bridge = settings.redis.map(|client| {
        let bridge = Bridge { client, store, claims: claims.clone() };
        tokio::spawn(bridge.run(stop_intake.clone()))
    });
    tracing::info!(name = claims.name(), capacity = room.capacity, weight = room.weight, "worker runs");

    asked_to_stop().await;
    tracing::info!("worker stops");
    fleet.stop_claiming();
    ticker.abort();
    claims.leave().await;
    stop_intake.cancel();
    stop_jobs.cancel();
    if let Some(polling) = polling {
        polling.await.context("polling")?;
    }
    if let Some(bridge) = bridge {
        bridge.await.context("bridge")?;
    }
    jobs.await.context("jobs")?;
    tokio::join!(fleet.stop(), tuberry_jobs::all_stored(STORING));
    claims.stop().await;
    if let Some(port) = port {
        port.abort();
    }
    tracing::info!("worker has stopped");
    Ok(())
}

/// Takes in what an old system did before this worker began: dialogs, messages, sessions. Accounts are served after that only.
async fn take_in(store: &Store, sealer: &Sealer) -> Result<()> {
    let taken = stock::take_in(store).await?;
    if taken != Taken::default() {
        tracing::info!(dialogs = taken.dialogs, messages = taken.messages, "taken in from the old system");
    }
    let sessions = old_sessions::take_over(store, sealer).await?;
    if !sessions.unreadable.is_empty() {
        tracing::warn!(accounts = ?sessions.unreadable, "sessions of the old system do not open: is another secret configured?");
    }
    Ok(())
}

/// Offers the cluster's tick; only one process' offer counts.
async fn tick(store: Store) {
    // Several times per interval: a process that just missed one must not delay it.
    let mut offers = interval(Duration::from_secs(5));
    offers.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        offers.tick().await;
        if let Err(error) = SyncAccounts::enqueue_tick(&store).await {
            tracing::debug!(%error, "tick not offered");
        }
    }
}

/// Telegram, or the simulator once it answers; `None`: the process was asked to stop first.
async fn network(telegram: &Telegram) -> Result<Option<Network>> {
    let application = super::application(telegram);
    let device = Device {
        model: telegram.device_model.clone(),
        system_version: telegram.system_version.clone(),
        app_version: telegram.app_version.clone(),
        lang_code: telegram.lang_code.clone(),
        system_lang_code: telegram.system_lang_code.clone(),
    };
    let Some(simulator) = &telegram.simulator else {
        if let Some(whose) = application.published_as() {
            tracing::warn!(
                api_id = application.id,
                whose,
                "PERSONAL_TELEGRAM_API_ID is not your own application's, which Telegram's terms do not allow"
            );
        }
        return Ok(Some(Network::telegram(application, device)));
    };
    patiently("the simulator", async || {
        let network = Network::simulator(simulator, application.clone(), device.clone()).await;
        network.map_err(|error| Failed::Passing(anyhow::Error::new(error).context("TELEGRAM_SIMULATOR")))
    })
    .await
}

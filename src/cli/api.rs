//! `tuberry api`: the REST interface and the bots' webhooks.

use super::patience::reached;
use super::{asked_to_stop, open_store};
use crate::bridge::Publisher;
use crate::config::{BotUpdates, Settings};
use crate::credentials::Attempts;
use crate::http::{self, AppState, PasswordProver, Webhooks, router};
use crate::telemetry::metrics::{Metrics, Recorder};
use crate::tokens::Tokens;
use crate::webhook_upkeep::WebhookUpkeep;
use anyhow::{Context, Result};
use axum::Router;
use axum::routing::get;
use clap::Args;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tuberry_domain::Secret;
use tuberry_storage::Store;
use tuberry_storage::moving::stock;
use tuberry_telegram::HttpBotApi;
use tuberry_telegram::mtproto::srp;

/// Connections to PostgreSQL: waiting requests hold none.
const POOL: u32 = 20;

/// Of the board: its overview reads the whole table and shall not keep requests waiting.
const BOARD_POOL: u32 = 2;

/// How long open requests may go on after the signal to stop; the longest takes 15 s.
const FAREWELL: Duration = Duration::from_secs(20);

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Address to listen on, instead of LISTEN.
    #[arg(long)]
    listen: Option<SocketAddr>,
}

pub(super) async fn run(options: Options) -> Result<()> {
    let settings = Settings::from_env()?;
    let recorder = settings.metrics_listen.map(|_| Recorder::install()).transpose().context("metrics")?;
    let store = Store::open(settings.database.url.expose(), POOL).context("DATABASE_URL cannot be used")?;
    let Some(store) = reached(store).await? else { return Ok(()) };
    let store = match &settings.redis {
        None => store,
        Some(client) => store.with_events(Arc::new(Publisher::start(client.clone()))),
    };
    // Operators may answer in topics that an old system made since the last migration.
    stock::take_in(&store).await.context("taking in what the old system has")?;
    let metrics = recorder.map(|recorder| Metrics::new(recorder, store.clone(), None));
    let address = options.listen.unwrap_or(settings.listen);
    let listener = tokio::net::TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    let state = state(&settings, store)?;
    if let Some(webhooks) = state.webhooks.clone() {
        let upkeep = WebhookUpkeep { store: state.store.clone(), api: state.bot_api.clone(), webhooks };
        tokio::spawn(upkeep.run());
    }
    let stopping = CancellationToken::new();
    let board = board(&settings, &state.tokens, stopping.clone()).await?;
    let metrics = metrics_port(&settings, metrics, stopping.clone()).await?;
    let server = axum::serve(listener, router(state)).with_graceful_shutdown(stopping.clone().cancelled_owned());
    let stop = async {
        asked_to_stop().await;
        tracing::info!("stopping");
        stopping.cancel();
        crate::web::end_streams();
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        served = async { tokio::try_join!(server.into_future(), board, metrics) } => served.map(drop).context("serving"),
        () = stop => {
            tracing::warn!("open requests were cut off");
            Ok(())
        }
    }
}

/// Serves the queue's board until `stopping`, where the settings want one.
async fn board(
    settings: &Settings,
    tokens: &Tokens,
    stopping: CancellationToken,
) -> Result<impl Future<Output = std::io::Result<()>> + use<>> {
    let server = match settings.board_listen {
        None => None,
        Some(address) => {
            let listener = tokio::net::TcpListener::bind(address).await;
            let listener = listener.with_context(|| format!("cannot listen on {address} (BOARD_LISTEN)"))?;
            tracing::info!(address = %listener.local_addr()?, "the board is listening");
            let app = http::board(open_store(&settings.database, BOARD_POOL).await?, tokens.clone());
            Some(axum::serve(listener, app).with_graceful_shutdown(stopping.cancelled_owned()))
        }
    };
    Ok(async move {
        match server {
            Some(server) => server.await,
            None => Ok(()),
        }
    })
}

/// Serves `/metrics` until `stopping`, where the settings want it: it is nobody's but the operators', so never on the public address.
async fn metrics_port(
    settings: &Settings,
    metrics: Option<Metrics>,
    stopping: CancellationToken,
) -> Result<impl Future<Output = std::io::Result<()>> + use<>> {
    let server = match settings.metrics_listen.zip(metrics) {
        None => None,
        Some((address, metrics)) => {
            let listener = tokio::net::TcpListener::bind(address).await;
            let listener = listener.with_context(|| format!("cannot listen on {address} (METRICS_LISTEN)"))?;
            tracing::info!(address = %listener.local_addr()?, "metrics are there");
            let app = Router::new().route("/metrics", get(async move || metrics.render().await));
            Some(axum::serve(listener, app).with_graceful_shutdown(stopping.cancelled_owned()))
        }
    };
    Ok(async move {
        match server {
            Some(server) => server.await,
            None => Ok(()),
        }
    })
}

/// Wires the handlers to the world.
fn state(settings: &Settings, store: Store) -> Result<AppState> {
    let prover: PasswordProver = Arc::new(|parameters: &[u8], password: &Secret<String>| {
        srp::prove(parameters, password).map_err(|error| error.to_string())
    });
    let base_url = settings.webhook_base_url.clone().filter(|_| settings.bot_updates == BotUpdates::Webhook);
    Ok(AppState {
        store,
        sealer: Arc::new(settings.sessions.sealer()),
        tokens: Tokens::new(&settings.jwt_secret, settings.jwt_lifetime),
        bot_api: Arc::new(HttpBotApi::new(&settings.telegram.bot_api_base).context("the Bot API's client")?),
        prover,
        webhooks: base_url.map(|base_url| Webhooks { base_url }),
        login_lifetime: settings.telegram.qr_timeout,
        attempts: Arc::new(Attempts::default()),
        demo: settings.demo.clone(),
    })
}

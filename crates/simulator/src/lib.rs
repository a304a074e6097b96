//! Telegram on loopback: two MTProto data centres, the Bot API, a control API and a page to look at. It knows Telegram's
//! protocols and nothing of its clients. Run it with the `telegram-simulator` binary, or in-process through [`Simulator`].

pub mod bot_api;
pub mod control;
pub mod http;
pub mod page;
pub mod world;

use anyhow::Context;
use bot_api::line::{Line, LineListener};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use world::{Shared, World};

/// How to start the simulator.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where DC 2 listens; DC 4 takes the next port. Port 0: two free ports.
    pub mtproto: SocketAddr,
    /// Where HTTP listens. Port 0: a free port.
    pub http: SocketAddr,
    /// Whether a second connection with the same authorization key kills the key.
    pub strict_keys: bool,
    /// How long a login token lives.
    pub token_lifetime: Duration,
    /// Where the world is kept between runs; none: nowhere.
    pub data_dir: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { mtproto: loopback, http: loopback, strict_keys: true, token_lifetime: Duration::from_secs(30), data_dir: None }
    }
}

/// A running simulator. Dropping it ends it too, without the last snapshot.
pub struct Simulator {
    shared: Shared,
    http: SocketAddr,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Simulator {
    /// Binds the listeners and starts to serve.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let shared = Shared::new(World::default());
        let stop = CancellationToken::new();
        let listener = TcpListener::bind(options.http).await.with_context(|| format!("cannot listen on {}", options.http))?;
        let http = listener.local_addr()?;
        {
            let mut world = shared.lock();
            world.live.http = Some(http);
            world.live.stop = stop.clone();
            world.live.strict_keys = options.strict_keys;
            world.live.token_lifetime = options.token_lifetime;
        }
        let service = http::router(shared.clone()).into_make_service_with_connect_info::<Line>();
        let serve = axum::serve(LineListener(listener), service).with_graceful_shutdown(stop.clone().cancelled_owned());
        let webhooks = tokio::spawn(bot_api::webhook::run(shared.clone()));
        let server = tokio::spawn(async move {
            if let Err(error) = serve.await {
                tracing::error!(%error, "http server");
            }
        });
        Ok(Self { shared, http, stop, tasks: vec![server, webhooks] })
    }

    /// Base URL of the control API, the Bot API and the page, without a slash at the end.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// The world, for tests that look inside.
    pub fn shared(&self) -> Shared {
        self.shared.clone()
    }

    /// Closes every listener and connection and writes the last snapshot.
    pub async fn stop(mut self) {
        self.stop.cancel();
        for task in self.tasks.drain(..) {
            if let Err(error) = task.await {
                tracing::error!(%error, "a server ended badly");
            }
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

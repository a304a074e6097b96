//! Telegram on loopback: two MTProto data centres, the Bot API, a control API and a page to look at. It knows Telegram's
//! protocols and nothing of its clients. Run it with the `telegram-simulator` binary, or in-process through [`Simulator`].

pub mod bot_api;
pub mod control;
pub mod http;
pub mod mtproto;
pub mod page;
pub mod world;

use anyhow::Context;
use bot_api::line::{Line, LineListener};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use world::{Shared, World, snapshot};

/// How long open requests may go on after [`Simulator::stop`].
const STOP_PATIENCE: Duration = Duration::from_secs(2);

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
    keeper: Option<(CancellationToken, JoinHandle<()>)>,
    tasks: Vec<JoinHandle<()>>,
}

impl Simulator {
    /// Binds the listeners and starts to serve.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let world = options.data_dir.as_deref().map_or_else(|| Ok(World::default()), snapshot::load)?;
        let shared = Shared::new(world);
        let stop = CancellationToken::new();
        let listener = TcpListener::bind(options.http).await.with_context(|| format!("cannot listen on {}", options.http))?;
        let http = listener.local_addr()?;
        let data_centres = mtproto::bind(options.mtproto).await?;
        {
            let mut world = shared.lock();
            world.live.http = Some(http);
            world.live.stop = stop.clone();
            world.live.strict_keys = options.strict_keys;
            world.live.token_lifetime = options.token_lifetime;
            for (dc, listener) in mtproto::DCS.into_iter().zip(&data_centres) {
                world.live.dcs.insert(dc, listener.local_addr()?);
            }
        }
        let mut tasks = Vec::new();
        for (dc, listener) in mtproto::DCS.into_iter().zip(data_centres) {
            tasks.push(mtproto::serve(shared.clone(), dc, listener, stop.clone()));
        }
        let keeper = options.data_dir.map(|dir| {
            let stop = CancellationToken::new();
            (stop.clone(), snapshot::keep(shared.clone(), dir, stop))
        });
        let service = http::router(shared.clone()).into_make_service_with_connect_info::<Line>();
        let serve = axum::serve(LineListener(listener), service).with_graceful_shutdown(stop.clone().cancelled_owned());
        tasks.push(tokio::spawn(bot_api::webhook::run(shared.clone())));
        tasks.push(tokio::spawn(async move {
            if let Err(error) = serve.await {
                tracing::error!(%error, "http server");
            }
        }));
        Ok(Self { shared, http, stop, keeper, tasks })
    }

    /// Where the data centres listen, by their ids.
    pub fn dcs(&self) -> BTreeMap<i32, SocketAddr> {
        self.shared.lock().live.dcs.clone()
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
        for mut task in self.tasks.drain(..) {
            // A client that keeps a request open must not keep the simulator.
            if tokio::time::timeout(STOP_PATIENCE, &mut task).await.is_err() {
                task.abort();
            }
        }
        if let Some((stop, keeper)) = self.keeper.take() {
            stop.cancel();
            if let Err(error) = keeper.await {
                tracing::error!(%error, "the last snapshot");
            }
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some((_, keeper)) = &self.keeper {
            keeper.abort();
        }
    }
}

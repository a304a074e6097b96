//! A machine of its own for a worker: each of its lines, to PostgreSQL and to Telegram, can be disturbed.

use crate::support::proxy::{Line, Proxy};
use crate::support::{Process, Stack};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use telegram_simulator::bot_api::line as http_line;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The lines of one worker, and what it has to know to use them.
pub struct Host {
    postgres: Proxy,
    /// To each data centre, and to the Bot API.
    telegram: Vec<Proxy>,
    environment: Vec<(String, String)>,
    front: JoinHandle<()>,
}

impl Host {
    pub async fn new(stack: &Stack) -> Self {
        let embedded = &stack.cluster().embedded;
        let postgres = Proxy::to((Ipv4Addr::LOCALHOST, embedded.port()).into()).await;
        let mut telegram = Vec::new();
        let mut dcs = Vec::new();
        for (id, target) in stack.simulator.dcs() {
            let proxy = Proxy::to(target).await;
            let address = proxy.address();
            dcs.push(json!({ "id": id, "host": address.ip().to_string(), "port": address.port() }));
            telegram.push(proxy);
        }
        let (address, front) = serve_http(stack, dcs).await;
        let http = Proxy::to(address).await;
        let behind = |port: u16| embedded.url("tuberry").replace(&format!(":{}/", embedded.port()), &format!(":{port}/"));
        let environment =
            [("DATABASE_URL", behind(postgres.address().port())), ("TELEGRAM_SIMULATOR", format!("http://{}", http.address()))]
                .map(|(name, value)| (name.to_owned(), value))
                .to_vec();
        telegram.push(http);
        Self { postgres, telegram, environment, front }
    }

    pub async fn start_worker(&self, stack: &Stack) -> Process {
        stack.start_worker_with(&self.environment).await
    }

    pub fn set_postgres(&self, line: Line) {
        self.postgres.set(line);
    }

    pub fn set_telegram(&self, line: Line) {
        self.telegram.iter().for_each(|proxy| proxy.set(line));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.front.abort();
    }
}

/// The simulator's HTTP once more, naming other addresses of the data centres.
async fn serve_http(stack: &Stack, dcs: Vec<Value>) -> (SocketAddr, JoinHandle<()>) {
    let config = json!({ "dcs": dcs, "bot_api_base": stack.simulator.http_url() });
    let router = Router::new()
        .route("/control/config", get(async move || Json(config)))
        .fallback_service(telegram_simulator::http::router(stack.simulator.shared()));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let service = router.into_make_service_with_connect_info::<http_line::Line>();
    let serve = axum::serve(http_line::LineListener(listener), service);
    (address, tokio::spawn(async move { serve.await.expect("an HTTP server") }))
}

//! Telegram's data centres: MTProto over TCP. One listener per DC, one task per connection.

mod connection;
pub mod crypto;
pub mod key_exchange;
pub mod push;
mod rpc;
mod salts;
mod service;
pub mod srp;
mod transport;
mod view;
mod writer;

use crate::world::Shared;
use anyhow::Context;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The data centres, in the order of their ports.
pub const DCS: [i32; 2] = [2, 4];

/// Binds both data centres: DC 2 at `at`, DC 4 at the next port. Port 0 finds two free neighbours.
pub async fn bind(at: SocketAddr) -> anyhow::Result<[TcpListener; 2]> {
    let mut attempts = if at.port() == 0 { 50 } else { 1 };
    loop {
        attempts -= 1;
        match bind_pair(at).await {
            Ok(pair) => return Ok(pair),
            Err(_) if attempts > 0 => {}
            Err(error) => return Err(error).with_context(|| format!("cannot listen on {at} and the next port")),
        }
    }
}

async fn bind_pair(at: SocketAddr) -> std::io::Result<[TcpListener; 2]> {
    let first = TcpListener::bind(at).await?;
    let mut second = first.local_addr()?;
    let next = second.port().checked_add(1).ok_or(std::io::ErrorKind::AddrNotAvailable)?;
    second.set_port(next);
    Ok([first, TcpListener::bind(second).await?])
}

/// Accepts connections for one data centre until `stop`; ends when the last connection has.
pub fn serve(shared: Shared, dc: i32, listener: TcpListener, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let tracker = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => break,
            };
            match accepted {
                Ok((stream, _)) if shared.lock().faults.refuses_connections() => drop(stream),
                Ok((stream, _)) => {
                    tracker.spawn(connection::serve(shared.clone(), dc, stream, stop.child_token()));
                }
                Err(error) => {
                    tracing::warn!(%error, dc, "accept");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            }
        }
        tracker.close();
        tracker.wait().await;
    })
}

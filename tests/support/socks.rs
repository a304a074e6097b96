//! A small SOCKS5 proxy that wants a user and a password (RFC 1928, RFC 1929) and counts what it relays.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// `user:password` that the proxy wants.
const CREDENTIALS: &str = "anna:geheim";

/// A running proxy; dropped, it is gone with everything that it relayed.
pub struct Socks {
    address: SocketAddr,
    relayed: Arc<AtomicI64>,
    _stop: DropGuard,
}

impl Socks {
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address")).await
    }

    /// At the address of one that is gone.
    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stop, relayed) = (CancellationToken::new(), Arc::<AtomicI64>::default());
        let (stopped, count) = (stop.clone(), relayed.clone());
        tokio::spawn(stopped.clone().run_until_cancelled_owned(async move {
            while let Ok((client, _)) = listener.accept().await {
                let count = count.clone();
                tokio::spawn(stopped.clone().run_until_cancelled_owned(async move { serve(client, &count).await }));
            }
        }));
        Self { address, relayed, _stop: stop.drop_guard() }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("socks5://{CREDENTIALS}@{}", self.address)
    }

    /// How many connections it made for clients that gave the right password.
    pub fn relayed(&self) -> i64 {
        self.relayed.load(Ordering::Relaxed)
    }
}

async fn serve(mut client: TcpStream, relayed: &AtomicI64) -> std::io::Result<()> {
    let [_version, methods] = [client.read_u8().await?, client.read_u8().await?];
    client.read_exact(&mut vec![0; methods.into()]).await?;
    client.write_all(&[5, 2]).await?;
    let _version = client.read_u8().await?;
    let (user, password) = (counted(&mut client).await?, counted(&mut client).await?);
    let right = [user, password].join(&b':') == CREDENTIALS.as_bytes();
    client.write_all(&[1, u8::from(!right)]).await?;
    if !right {
        return Ok(());
    }
    let mut request = [0; 4];
    client.read_exact(&mut request).await?;
    assert_eq!(request, [5, 1, 0, 1], "CONNECT to an IPv4 address");
    let target = SocketAddr::from((client.read_u32().await?.to_be_bytes(), client.read_u16().await?));
    let mut server = TcpStream::connect(target).await?;
    relayed.fetch_add(1, Ordering::Relaxed);
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// Bytes after their number.
async fn counted(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; client.read_u8().await?.into()];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}

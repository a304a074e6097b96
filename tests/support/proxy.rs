//! A TCP line between one process and one server that a test can disturb. It carries bytes both ways and understands none of them; it can be told
//! to look for some.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Bytes in flight in one direction.
const BUFFER: usize = 16 << 10;

/// How a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Carries everything.
    Open,
    /// Carries nothing, not even the end of a connection; what was sent meanwhile comes when the line is open again. New connections wait.
    Frozen,
    /// The same, but the other side is told when a connection ends.
    Silent,
    /// Connections end, new ones too.
    Cut,
}

/// What is looked for among the bytes that clients send, how often it came, and how the line is from then on.
#[derive(Default)]
struct Watch {
    text: &'static str,
    seen: usize,
    then: Option<Line>,
}

/// A running line; it ends, with its connections, when dropped.
pub struct Proxy {
    address: SocketAddr,
    line: watch::Sender<Line>,
    watch: Arc<Mutex<Watch>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// An open line to `target`, behind a port of its own on loopback.
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let line = watch::Sender::new(Line::Open);
        let watch = Arc::<Mutex<Watch>>::default();
        let (state, watched) = (line.clone(), watch.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, target, state.clone(), watched.clone()));
            }
        });
        Self { address, line, watch, accepting }
    }

    /// Counts from now on how often clients send `text`; `then`: how the line is before it is passed on.
    pub fn watch_for(&self, text: &'static str, then: Option<Line>) {
        *self.watch.lock().expect("a watch") = Watch { text, seen: 0, then };
    }

    /// How often it came.
    pub fn seen(&self) -> usize {
        self.watch.lock().expect("a watch").seen
    }

    /// Where processes connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes how the line is from now on.
    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One connection, until either side ends it or the line does.
async fn carry(
    mut client: TcpStream,
    target: SocketAddr,
    state: watch::Sender<Line>,
    watch: Arc<Mutex<Watch>>,
) -> io::Result<()> {
    let mut line = state.subscribe();
    if !matches!(line.wait_for(|line| matches!(line, Line::Open | Line::Cut)).await.as_deref(), Ok(Line::Open)) {
        return Ok(());
    }
    // A client that gave up while the line was down was never heard of on the other side.
    if client.ready(Interest::READABLE | Interest::WRITABLE).await?.is_read_closed() {
        return Ok(());
    }
    let mut server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) = (client.split(), server.split());
    let (up, down) = (line.clone(), line.clone());
    let look = |bytes: &[u8]| {
        let mut watch = watch.lock().expect("a watch");
        if !watch.text.is_empty() && bytes.windows(watch.text.len()).any(|window| window == watch.text.as_bytes()) {
            watch.seen += 1;
            if let Some(line) = watch.then {
                state.send_replace(line);
            }
        }
    };
    tokio::select! {
        _ = pump(&mut from_client, &mut to_server, up, look) => {}
        _ = pump(&mut from_server, &mut to_client, down, |_| ()) => {}
        _ = line.wait_for(|line| *line == Line::Cut) => {}
    }
    Ok(())
}

/// One direction of a connection. Returns when the connection has to end on the other side.
async fn pump(
    from: &mut ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    mut line: watch::Receiver<Line>,
    look: impl Fn(&[u8]),
) -> Option<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        look(&buffer[..read]);
        let passes = |line: &Line| *line == Line::Open || (read == 0 && *line == Line::Silent);
        let state = line.clone();
        tokio::select! {
            passed = line.wait_for(passes) => drop(passed.ok()?),
            () = closed_in_silence(from, state) => return None,
        }
        if read == 0 {
            return None;
        }
        to.write_all(&buffer[..read]).await.ok()?;
    }
}

/// Returns when the sender has closed while the line is silent, whatever it sent before.
async fn closed_in_silence(from: &ReadHalf<'_>, mut line: watch::Receiver<Line>) {
    while line.wait_for(|line| *line == Line::Silent).await.is_ok() {
        match from.ready(Interest::READABLE).await {
            Ok(ready) if !ready.is_read_closed() => tokio::time::sleep(Duration::from_millis(20)).await,
            _ => return,
        }
    }
}

//! One connection: reads packets, binds the connection to its key (with the strict rule about keys), and ends it when the timer of
//! `ping_delay_disconnect` runs out.

use super::key_exchange::KeyExchange;
use super::service::Service;
use super::{crypto, salts, transport, writer};
use crate::world::live::{Connection, Out};
use crate::world::{Shared, now};
use grammers_tl_types::{Serializable, enums, types};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Messages that may wait for a client that does not read.
const QUEUE: usize = 4096;
/// How long an older connection with the same key is watched for its end of file before the key is judged.
const GRACE: Duration = Duration::from_millis(200);
/// A connection that says nothing at all for so long is closed.
const FIRST_PACKET: Duration = Duration::from_secs(60);

/// A connection in the world's list; leaves it when dropped.
struct Listed {
    shared: Shared,
    id: u64,
}

impl Listed {
    fn new(shared: Shared, out: mpsc::Sender<Out>, cancel: CancellationToken, mute: Arc<AtomicBool>) -> Self {
        let mut world = shared.lock();
        world.live.last_connection += 1;
        let id = world.live.last_connection;
        world.live.connections.insert(id, Connection { key: 0, out, cancel, no_updates: false, mute, known: BTreeSet::new() });
        drop(world);
        Self { shared, id }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut world = self.shared.lock();
        world.live.connections.remove(&self.id);
        world.live.closed.notify_waiters();
    }
}

/// Serves a connection until either side ends it.
pub async fn serve(shared: Shared, dc: i32, stream: TcpStream, cancel: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "nodelay");
    }
    let (read, write) = stream.into_split();
    let accepted = tokio::select! {
        accepted = tokio::time::timeout(FIRST_PACKET, transport::accept(read, write)) => accepted,
        () = cancel.cancelled() => return,
    };
    let Ok(Ok((reader, write))) = accepted else { return };
    let (out, queue) = mpsc::channel(QUEUE);
    let mute = Arc::<AtomicBool>::default();
    let listed = Listed::new(shared.clone(), out.clone(), cancel.clone(), mute.clone());
    let mut writing = tokio::spawn(writer::run(write, queue, cancel.clone(), mute));
    let mut incoming = Incoming {
        reader,
        dc,
        out,
        cancel: cancel.clone(),
        exchange: KeyExchange::default(),
        bound: None,
        session: None,
        service: Service::new(shared.clone(), listed.id),
        shared,
        connection: listed.id,
    };
    if let Err(error) = incoming.run().await {
        tracing::debug!(%error, connection = listed.id, "connection ended");
    }
    drop((incoming, listed));
    // The writer still sends what was queued (a transport error, say), and ends when the last sender is gone.
    if tokio::time::timeout(Duration::from_secs(1), &mut writing).await.is_err() {
        cancel.cancel();
    }
}

struct Incoming {
    reader: transport::Reader,
    shared: Shared,
    dc: i32,
    connection: u64,
    out: mpsc::Sender<Out>,
    cancel: CancellationToken,
    exchange: KeyExchange,
    bound: Option<(u64, Arc<[u8; 256]>)>,
    session: Option<i64>,
    service: Service,
}

/// Whether the connection goes on.
enum Next {
    Read,
    End,
}

impl Incoming {
    async fn run(&mut self) -> std::io::Result<()> {
        loop {
            let deadline = self.service.deadline;
            let packet = tokio::select! {
                packet = self.reader.next() => packet?,
                () = self.cancel.cancelled() => return Ok(()),
                () = expired(deadline) => return Ok(()),
            };
            if matches!(self.packet(&packet).await, Next::End) {
                return Ok(());
            }
        }
    }

    async fn packet(&mut self, packet: &[u8]) -> Next {
        let Some(key_id) = packet.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes)) else { return Next::End };
        if key_id == 0 {
            return self.exchange(packet);
        }
        if self.bound.as_ref().is_none_or(|(bound, _)| *bound != key_id) {
            if self.bound.is_some() {
                return Next::End;
            }
            self.shared.lock().stats.connects += 1;
            let known = self.shared.lock().keys.get(&key_id).filter(|key| key.dc == self.dc).map(|key| Arc::new(key.key));
            let Some(key) = known else { return self.transport_error(404) };
            if crypto::decrypt(&key, packet).is_none() {
                return self.transport_error(404);
            }
            self.claim(key_id).await;
            self.bound = Some((key_id, key));
        }
        let Some((_, key)) = &self.bound else { return Next::End };
        if !self.shared.lock().keys.contains_key(&key_id) {
            return self.transport_error(404);
        }
        match crypto::decrypt(key, packet) {
            Some(plain) => self.message(key_id, &plain),
            None => Next::End,
        }
    }

    /// A step of the key exchange: key id 0, message id, length, body.
    fn exchange(&mut self, packet: &[u8]) -> Next {
        let length = packet.get(16..20).and_then(|b| b.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize);
        let step = packet.get(20..).and_then(|rest| rest.get(..length)).and_then(|body| self.exchange.step(body));
        let Some(step) = step else { return self.transport_error(404) };
        if let Some(key) = step.key
            && self.shared.lock().add_key(self.dc, key).is_none()
        {
            return self.transport_error(429);
        }
        self.send(Out::Plain(step.answer));
        Next::Read
    }

    /// Binds the connection to its key. While an older connection with the same key is open, it is given [`GRACE`] to end; then, under
    /// strict keys, the key is killed.
    async fn claim(&mut self, key: u64) {
        let deadline = Instant::now() + GRACE;
        let closed = self.shared.lock().live.closed.clone();
        loop {
            let ended = closed.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            {
                let mut world = self.shared.lock();
                let others = world.live.connections.values().filter(|other| other.key == key).count();
                if others == 0 || Instant::now() >= deadline {
                    if others > 0 && world.live.strict_keys {
                        tracing::warn!(key, "authorization key used by two connections");
                        world.kill_key(key);
                    }
                    world.stats.max_connections_per_key = world.stats.max_connections_per_key.max(others + 1);
                    if let Some(key) = world.keys.get_mut(&key) {
                        key.connections += 1;
                    }
                    if let Some(connection) = world.live.connections.get_mut(&self.connection) {
                        connection.key = key;
                    }
                    return;
                }
            }
            if tokio::time::timeout_at(deadline, ended).await.is_err() {
                tracing::debug!(key, "an older connection stays open");
            }
        }
    }

    /// A decrypted message: salt, session, message id, sequence number, length, body.
    fn message(&mut self, key_id: u64, plain: &[u8]) -> Next {
        let Some(head) = Head::parse(plain) else { return Next::End };
        let body = plain[32..].get(..head.length);
        let Some(body) = body.filter(|body| body.len() >= 4) else { return Next::End };
        if self.session != Some(head.session) {
            let Some((_, key)) = &self.bound else { return Next::End };
            let key = Box::new(**key);
            self.send(Out::Session { key, key_id, session: head.session });
        }
        if let Some(error_code) = head.complaint() {
            let notice = types::BadMsgNotification { bad_msg_id: head.id, bad_msg_seqno: head.sequence, error_code };
            self.notice(enums::BadMsgNotification::Notification(notice).to_bytes(), false);
            return Next::Read;
        }
        let salt = salts::current(key_id, now());
        if !salts::accepts(key_id, now(), head.salt) {
            let notice =
                types::BadServerSalt { bad_msg_id: head.id, bad_msg_seqno: head.sequence, error_code: 48, new_server_salt: salt };
            self.notice(enums::BadMsgNotification::BadServerSalt(notice).to_bytes(), false);
            return Next::Read;
        }
        if self.session.replace(head.session) != Some(head.session) {
            let unique_id = i64::from_le_bytes(crate::world::random());
            let created = types::NewSessionCreated { first_msg_id: head.id, unique_id, server_salt: salt };
            self.notice(enums::NewSession::Created(created).to_bytes(), true);
        }
        match self.service.message(key_id, head.id, body) {
            Some(()) => Next::Read,
            None => Next::End,
        }
    }

    fn notice(&self, body: Vec<u8>, content: bool) {
        self.send(Out::Message { body, content, answer: false });
    }

    fn transport_error(&self, code: i32) -> Next {
        self.send(Out::TransportError(code));
        Next::End
    }

    fn send(&self, out: Out) {
        if self.out.try_send(out).is_err() {
            self.cancel.cancel();
        }
    }
}

async fn expired(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

struct Head {
    salt: i64,
    session: i64,
    id: i64,
    sequence: i32,
    length: usize,
}

impl Head {
    fn parse(plain: &[u8]) -> Option<Self> {
        let long = |at: usize| Some(i64::from_le_bytes(*plain.get(at..)?.first_chunk()?));
        let int = |at: usize| Some(i32::from_le_bytes(*plain.get(at..)?.first_chunk()?));
        let length = usize::try_from(int(28)?).ok()?;
        Some(Self { salt: long(0)?, session: long(8)?, id: long(16)?, sequence: int(24)?, length })
    }

    /// `bad_msg_notification` codes: 16 the id is too low, 17 too high, 18 not divisible by four.
    fn complaint(&self) -> Option<i32> {
        let at = self.id >> 32;
        match self.id {
            id if id % 4 != 0 => Some(18),
            _ if at < now() - 300 => Some(16),
            _ if at > now() + 30 => Some(17),
            _ => None,
        }
    }
}

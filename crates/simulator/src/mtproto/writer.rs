//! The sending half of a connection: numbers messages, packs what is waiting into one container, encrypts and writes.

use super::{crypto, salts, transport};
use crate::world::live::Out;
use crate::world::now;
use grammers_tl_types::Serializable;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Constructor of a container.
pub const CONTAINER: u32 = 0x73f1_f8dc;
/// Messages per container.
const BATCH: usize = 50;
/// Bytes after which a container is full.
const BATCH_BYTES: usize = 256 << 10;

struct Session {
    key: Box<[u8; 256]>,
    key_id: u64,
    session: i64,
}

struct Packed {
    id: i64,
    sequence: i32,
    body: Vec<u8>,
}

/// Message ids (<https://core.telegram.org/mtproto/description#message-identifier-msg-id>) and sequence numbers.
#[derive(Default)]
struct Numbers {
    last_id: i64,
    content: i32,
}

impl Numbers {
    /// A new id: about the time, ascending, 1 modulo 4 for answers and 3 for anything else.
    fn id(&mut self, answer: bool) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let id = ((since.as_secs() as i64) << 32) | ((i64::from(since.subsec_nanos()) << 2) & 0xffff_fffc);
        let id = if id <= self.last_id { (self.last_id & !3) + 4 } else { id };
        self.last_id = id | if answer { 1 } else { 3 };
        self.last_id
    }

    fn sequence(&mut self, content: bool) -> i32 {
        let number = self.content * 2;
        if content {
            self.content += 1;
            return number + 1;
        }
        number
    }
}

/// Writes until the connection is cancelled, the queue's senders are gone, or writing fails; cancels the connection then. While it is `mute`,
/// nothing is written.
pub async fn run(
    mut stream: transport::Writer,
    mut queue: mpsc::Receiver<Out>,
    cancel: CancellationToken,
    mute: Arc<AtomicBool>,
) {
    let mut session = None;
    let mut numbers = Numbers::default();
    loop {
        let first = tokio::select! {
            out = queue.recv() => out,
            () = cancel.cancelled() => break,
        };
        let Some(first) = first else { break };
        if mute.load(Ordering::Relaxed) {
            continue;
        }
        let written = tokio::select! {
            written = write(&mut stream, first, &mut queue, &mut session, &mut numbers) => written,
            () = cancel.cancelled() => break,
        };
        match written {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                tracing::debug!(%error, "write");
                break;
            }
        }
    }
    if !cancel.is_cancelled() {
        stream.finish().await;
        cancel.cancel();
    }
}

/// Writes one thing and whatever messages wait behind it. False: the connection ends.
async fn write(
    stream: &mut transport::Writer,
    first: Out,
    queue: &mut mpsc::Receiver<Out>,
    session: &mut Option<Session>,
    numbers: &mut Numbers,
) -> std::io::Result<bool> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    let mut next = Some(first);
    while let Some(out) = next {
        match out {
            Out::Message { body, content, answer } => {
                bytes += body.len();
                batch.push(Packed { id: numbers.id(answer), sequence: numbers.sequence(content), body });
            }
            other => {
                flush(stream, &mut batch, session.as_ref(), numbers).await?;
                match other {
                    Out::Session { key, key_id, session: id } => *session = Some(Session { key, key_id, session: id }),
                    Out::Plain(body) => stream.send(&plain(numbers.id(true), &body)).await?,
                    Out::TransportError(code) => {
                        stream.error(code).await?;
                        return Ok(false);
                    }
                    Out::Message { .. } => {}
                }
            }
        }
        next = if batch.len() < BATCH && bytes < BATCH_BYTES { queue.try_recv().ok() } else { None };
    }
    flush(stream, &mut batch, session.as_ref(), numbers).await?;
    Ok(true)
}

fn plain(id: i64, body: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(body.len() + 20);
    0i64.serialize(&mut packet);
    id.serialize(&mut packet);
    (body.len() as i32).serialize(&mut packet);
    packet.extend_from_slice(body);
    packet
}

async fn flush(
    stream: &mut transport::Writer,
    batch: &mut Vec<Packed>,
    session: Option<&Session>,
    numbers: &mut Numbers,
) -> std::io::Result<()> {
    let Some(session) = session else {
        batch.clear();
        return Ok(());
    };
    let one = match batch.len() {
        0 => return Ok(()),
        1 => batch.remove(0),
        _ => container(std::mem::take(batch), numbers),
    };
    let mut packet = Vec::with_capacity(one.body.len() + 64);
    salts::current(session.key_id, now()).serialize(&mut packet);
    session.session.serialize(&mut packet);
    one.id.serialize(&mut packet);
    one.sequence.serialize(&mut packet);
    (one.body.len() as i32).serialize(&mut packet);
    packet.extend_from_slice(&one.body);
    stream.send(&crypto::encrypt(&session.key, session.key_id, packet)).await
}

fn container(batch: Vec<Packed>, numbers: &mut Numbers) -> Packed {
    let mut body = Vec::with_capacity(batch.iter().map(|m| m.body.len() + 16).sum::<usize>() + 8);
    CONTAINER.serialize(&mut body);
    (batch.len() as i32).serialize(&mut body);
    for message in batch {
        message.id.serialize(&mut body);
        message.sequence.serialize(&mut body);
        (message.body.len() as i32).serialize(&mut body);
        body.extend_from_slice(&message.body);
    }
    Packed { id: numbers.id(false), sequence: numbers.sequence(false), body }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids_ascend_and_tell_answers_from_notices() {
        let mut numbers = Numbers::default();
        let mut last = 0;
        for n in 0..1000 {
            let id = numbers.id(n % 2 == 0);
            assert!(id > last);
            assert_eq!(id % 4, if n % 2 == 0 { 1 } else { 3 });
            last = id;
        }
        assert_eq!([numbers.sequence(true), numbers.sequence(false), numbers.sequence(true)], [1, 2, 3]);
    }
}

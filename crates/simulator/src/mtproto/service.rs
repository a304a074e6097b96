//! What is inside of a packet: containers, gzip, pings, salts and other service messages, and calls of the API, which go to `rpc`.

use super::writer::CONTAINER;
use super::{rpc, salts};
use crate::world::live::Out;
use crate::world::{Shared, now};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use grammers_tl_types::{Cursor, Deserializable, Identifiable, Serializable, enums, functions, types};
use std::io::{Read, Write};
use std::time::Duration;
use tokio::time::Instant;

const RPC_RESULT: u32 = 0xf35c_6d01;
const GZIP_PACKED: u32 = 0x3072_cfa1;
/// Messages in a container, as Telegram limits them.
const CONTAINER_LIMIT: i32 = 1020;
/// Bytes that a compressed message may unfold to.
const GZIP_LIMIT: u64 = 4 << 20;
/// Answers longer than this are compressed.
const GZIP_FROM: usize = 1024;

/// The state of one connection above the packets.
pub struct Service {
    shared: Shared,
    connection: u64,
    /// When the connection must be closed, unless `ping_delay_disconnect` comes again.
    pub deadline: Option<Instant>,
}

impl Service {
    /// For a connection of this number.
    pub fn new(shared: Shared, connection: u64) -> Self {
        Self { shared, connection, deadline: None }
    }

    /// Handles a message. None: it makes no sense, the connection ends.
    pub fn message(&mut self, key: u64, id: i64, body: &[u8]) -> Option<()> {
        let mut cursor = Cursor::from_slice(body);
        if u32::deserialize(&mut cursor).ok()? != CONTAINER {
            return self.single(key, id, body, true);
        }
        let count = i32::deserialize(&mut cursor).ok()?;
        if !(0..=CONTAINER_LIMIT).contains(&count) {
            return None;
        }
        let mut rest = body.get(8..)?;
        for _ in 0..count {
            let mut head = Cursor::from_slice(rest);
            let id = i64::deserialize(&mut head).ok()?;
            let _sequence = i32::deserialize(&mut head).ok()?;
            let length = usize::try_from(i32::deserialize(&mut head).ok()?).ok()?;
            let (inner, after) = rest.get(16..)?.split_at_checked(length)?;
            self.single(key, id, inner, true)?;
            rest = after;
        }
        Some(())
    }

    fn single(&mut self, key: u64, id: i64, body: &[u8], may_be_packed: bool) -> Option<()> {
        let mut cursor = Cursor::from_slice(body);
        match u32::deserialize(&mut cursor).ok()? {
            GZIP_PACKED if may_be_packed => {
                let packed = Vec::<u8>::deserialize(&mut cursor).ok()?;
                let mut unpacked = Vec::new();
                GzDecoder::new(&packed[..]).take(GZIP_LIMIT).read_to_end(&mut unpacked).ok()?;
                return self.single(key, id, &unpacked, false);
            }
            // Nothing is ever sent twice here, so acknowledgements and requests to repeat need no action.
            types::MsgsAck::CONSTRUCTOR_ID
            | types::MsgResendReq::CONSTRUCTOR_ID
            | types::MsgsStateInfo::CONSTRUCTOR_ID
            | types::MsgsAllInfo::CONSTRUCTOR_ID
            | types::HttpWait::CONSTRUCTOR_ID => {}
            functions::Ping::CONSTRUCTOR_ID => {
                let ping = functions::Ping::deserialize(&mut cursor).ok()?;
                self.pong(id, ping.ping_id);
            }
            functions::PingDelayDisconnect::CONSTRUCTOR_ID => {
                let ping = functions::PingDelayDisconnect::deserialize(&mut cursor).ok()?;
                let delay = Duration::from_secs(ping.disconnect_delay.max(0) as u64);
                self.deadline = Instant::now().checked_add(delay);
                self.pong(id, ping.ping_id);
            }
            functions::GetFutureSalts::CONSTRUCTOR_ID => {
                let request = functions::GetFutureSalts::deserialize(&mut cursor).ok()?;
                self.send(future_salts(key, id, request.num), false);
            }
            functions::DestroySession::CONSTRUCTOR_ID => {
                let session_id = functions::DestroySession::deserialize(&mut cursor).ok()?.session_id;
                let none = types::DestroySessionNone { session_id };
                self.send(enums::DestroySessionRes::DestroySessionNone(none).to_bytes(), false);
            }
            types::MsgsStateReq::CONSTRUCTOR_ID => {
                let asked = types::MsgsStateReq::deserialize(&mut cursor).ok()?.msg_ids.len();
                // 4: received; such requests come only for messages that the server has answered or dropped.
                let info = types::MsgsStateInfo { req_msg_id: id, info: vec![4; asked] };
                self.send(enums::MsgsStateInfo::Info(info).to_bytes(), false);
            }
            functions::RpcDropAnswer::CONSTRUCTOR_ID => {
                self.result(id, Ok(enums::RpcDropAnswer::RpcAnswerUnknown.to_bytes()))?;
            }
            _ => return self.call(key, id, body),
        }
        Some(())
    }

    fn call(&mut self, key: u64, id: i64, body: &[u8]) -> Option<()> {
        let mut world = self.shared.lock();
        let outcome = rpc::answer(&mut world, self.connection, key, body);
        let latency = world.faults.latency();
        if outcome.result.is_ok() && world.faults.take_lost_answer(outcome.method) {
            tracing::info!(method = outcome.method, "answer lost by a fault");
            return None;
        }
        drop(world);
        if latency.is_zero() {
            return self.result(id, outcome.result);
        }
        let ack = types::MsgsAck { msg_ids: vec![id] };
        self.send(enums::MsgsAck::Ack(ack).to_bytes(), false);
        let late = Self { shared: self.shared.clone(), connection: self.connection, deadline: None };
        tokio::spawn(async move {
            tokio::time::sleep(latency).await;
            late.result(id, outcome.result)
        });
        Some(())
    }

    fn result(&self, id: i64, result: Result<Vec<u8>, rpc::RpcError>) -> Option<()> {
        let mut body = Vec::new();
        RPC_RESULT.serialize(&mut body);
        id.serialize(&mut body);
        match result {
            Ok(answer) if answer.len() > GZIP_FROM => {
                let mut gzip = GzEncoder::new(Vec::with_capacity(answer.len() / 2), Compression::fast());
                gzip.write_all(&answer).ok()?;
                GZIP_PACKED.serialize(&mut body);
                gzip.finish().ok()?.serialize(&mut body);
            }
            Ok(answer) => body.extend_from_slice(&answer),
            Err(rpc::RpcError { code, name }) => {
                let error = types::RpcError { error_code: code, error_message: name };
                enums::RpcError::Error(error).serialize(&mut body);
            }
        }
        self.send(body, true);
        Some(())
    }

    fn pong(&self, msg_id: i64, ping_id: i64) {
        self.send(enums::Pong::Pong(types::Pong { msg_id, ping_id }).to_bytes(), false);
    }

    fn send(&self, body: Vec<u8>, content: bool) {
        if let Some(connection) = self.shared.lock().live.connections.get(&self.connection) {
            connection.send(Out::Message { body, content, answer: true });
        }
    }
}

/// `future_salts`, whose vector and items are bare.
fn future_salts(key: u64, request: i64, count: i32) -> Vec<u8> {
    let salts = salts::future(key, now(), count);
    let mut body = Vec::new();
    types::FutureSalts::CONSTRUCTOR_ID.serialize(&mut body);
    request.serialize(&mut body);
    (now() as i32).serialize(&mut body);
    (salts.len() as i32).serialize(&mut body);
    for salt in salts {
        (salt.since as i32).serialize(&mut body);
        (salt.until as i32).serialize(&mut body);
        salt.value.serialize(&mut body);
    }
    body
}

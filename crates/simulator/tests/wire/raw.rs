//! Bytes that no honest client sends.

use crate::client::{Connection, simulator};
use grammers_crypto::{AuthKey, DequeBuffer, encrypt_data_v2};
use grammers_tl_types::{Identifiable, Serializable, functions as f, types};
use std::net::SocketAddrV4;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Everything that the server says before it closes the connection, or within a second.
async fn answers(at: SocketAddrV4, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(1), stream.read_to_end(&mut answer)).await;
    answer
}

fn intermediate(packet: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xee; 4];
    bytes.extend((packet.len() as u32).to_le_bytes());
    bytes.extend(packet);
    bytes
}

fn encrypted(key: [u8; 256], salt: i64, body: &[u8]) -> Vec<u8> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let mut buffer = DequeBuffer::with_capacity(body.len() + 64, 32);
    buffer.extend(salt.to_le_bytes());
    buffer.extend(77i64.to_le_bytes());
    buffer.extend((seconds << 32).to_le_bytes());
    buffer.extend(1i32.to_le_bytes());
    buffer.extend((body.len() as i32).to_le_bytes());
    buffer.extend(body.iter().copied());
    encrypt_data_v2(&mut buffer, &AuthKey::from_bytes(key));
    intermediate(&buffer[..])
}

#[tokio::test]
async fn an_unknown_key_is_answered_with_minus_404() {
    let (simulator, control) = simulator().await;
    let at = control.dc(2).await;
    let answer = answers(at, &intermediate(&[9; 88])).await;
    assert_eq!(answer, [&4u32.to_le_bytes()[..], &(-404i32).to_le_bytes()].concat());
    simulator.stop().await;
}

#[tokio::test]
async fn a_key_is_known_to_its_own_data_centre_alone() {
    let (simulator, control) = simulator().await;
    let key = control.key(2).await;
    let body = f::help::GetNearestDc {}.to_bytes();
    let abroad = answers(control.dc(4).await, &encrypted(key, 0, &body)).await;
    assert_eq!(abroad[4..], (-404i32).to_le_bytes());
    let home = answers(control.dc(2).await, &encrypted(key, 0, &body)).await;
    assert!(home.len() > 24, "a notice about the salt");
    simulator.stop().await;
}

#[tokio::test]
async fn a_forgotten_key_is_unknown_again_and_its_connections_are_closed() {
    let (simulator, control) = simulator().await;
    let user = control.user("A").await;
    let (connection, key) = control.signed_in(user).await;
    let forgotten = control.post("/control/faults", serde_json::json!({ "kind": "forget_keys", "user": user })).await;
    assert_eq!(forgotten, serde_json::json!({ "forgotten": 1 }));
    assert!(connection.call(&f::updates::GetState {}).await.is_err());
    let answer = answers(control.dc(4).await, &encrypted(key, 0, &f::updates::GetState {}.to_bytes())).await;
    assert_eq!(answer[4..], (-404i32).to_le_bytes());
    simulator.stop().await;
}

#[tokio::test]
async fn garbage_inside_and_outside_of_packets_hurts_nobody() {
    let (simulator, control) = simulator().await;
    let at = control.dc(4).await;
    let key = control.key(4).await;
    let mut seed = 12345u64;
    let mut noise = |length: usize| -> Vec<u8> {
        let byte = |_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 40) as u8
        };
        (0..length).map(byte).collect()
    };
    let mut attacks = vec![b"GET / HTTP/1.0\r\n\r\n".to_vec(), vec![0xef, 0xff], vec![0xee; 8], vec![0], Vec::new()];
    for length in [1, 3, 8, 24, 40, 56, 300, 5000] {
        attacks.push(noise(length));
        attacks.push(intermediate(&noise(length)));
        attacks.push([&[0xefu8, (length / 4).min(126) as u8][..], &noise(length)].concat());
        attacks.push(encrypted(key, 0, &noise(length.next_multiple_of(4))));
        let mut plain = vec![0; 16];
        plain.extend((length as u32).to_le_bytes());
        plain.extend(noise(length));
        attacks.push(intermediate(&plain));
    }
    for id in [0x73f1_f8dcu32, 0x3072_cfa1, types::MsgsStateReq::CONSTRUCTOR_ID, f::messages::SendMessage::CONSTRUCTOR_ID] {
        for rest in [vec![0xff; 64], vec![0; 64], noise(64)] {
            attacks.push(encrypted(key, 0, &[&id.to_le_bytes()[..], &rest].concat()));
        }
    }
    for attack in attacks {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let _ = stream.write_all(&attack).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_millis(500), stream.read_to_end(&mut answer)).await;
    }
    let honest = Connection::open(at, 4, control.key(4).await).await;
    honest.call(&f::help::GetNearestDc {}).await.unwrap();
    simulator.stop().await;
}

#[tokio::test]
async fn unknown_and_unreadable_calls_have_their_own_errors() {
    let (simulator, control) = simulator().await;
    let user = control.user("A").await;
    let (connection, _) = control.signed_in(user).await;
    assert_eq!(connection.refusal(&f::help::GetSupport {}).await, (400, "METHOD_INVALID".into()));
    let long = f::contacts::ResolveUsername { username: "x".repeat(70_000), referer: None };
    assert_eq!(connection.refusal(&long).await, (400, "INPUT_REQUEST_TOO_LONG".into()));
    simulator.stop().await;
}

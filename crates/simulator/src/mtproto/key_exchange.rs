//! The Diffie-Hellman exchange that makes an authorization key (<https://core.telegram.org/mtproto/auth_key>), server side, with a
//! throw-away RSA key of the simulator: clients that let one set the server's public key (Telethon) can do the whole exchange.

use super::crypto::sha256;
use super::srp;
use crate::world::{now, random};
use grammers_crypto::{AuthKey, aes, generate_key_data_from_nonce};
use grammers_tl_types::{Cursor, Deserializable, Identifiable, Serializable, enums, functions, types};
use num_bigint::BigUint;
use sha1::{Digest, Sha1};
use std::sync::LazyLock;

/// n, e and d in decimal. It protects nothing.
const KEY_TEXT: &str = include_str!("test_rsa_key.txt");
static RSA: LazyLock<Rsa> = LazyLock::new(Rsa::load);

/// The product to factorise: the two primes of the example in Telegram's documentation.
const PQ: u64 = 0x494C_553B * 0x5391_1073;

struct Rsa {
    n: BigUint,
    e: BigUint,
    d: BigUint,
}

impl Rsa {
    fn load() -> Self {
        let mut numbers = KEY_TEXT.lines().filter_map(|line| BigUint::parse_bytes(line.trim().as_bytes(), 10));
        let mut next = || numbers.next().expect("the key file holds n, e and d");
        Self { n: next(), e: next(), d: next() }
    }

    /// Lower 64 bits of the SHA-1 of the TL-serialised key.
    fn fingerprint(&self) -> i64 {
        let mut bytes = Vec::new();
        self.n.to_bytes_be().to_vec().serialize(&mut bytes);
        self.e.to_bytes_be().to_vec().serialize(&mut bytes);
        let mut low = [0; 8];
        low.copy_from_slice(&Sha1::digest(&bytes)[12..20]);
        i64::from_le_bytes(low)
    }

    /// Undoes the client's encryption: the older form (SHA-1, data, padding) or RSA_PAD.
    fn decrypt(&self, encrypted: &[u8]) -> Option<Vec<u8>> {
        let number = BigUint::from_bytes_be(encrypted);
        if number >= self.n {
            return None;
        }
        let block = srp::pad(&number.modpow(&self.d, &self.n));
        if block[0] == 0 {
            let data = block[21..].to_vec();
            let mut cursor = Cursor::from_slice(&data);
            let whole = enums::PQInnerData::deserialize(&mut cursor).is_ok();
            if whole && Sha1::digest(&data[..cursor.pos()])[..] == block[1..21] {
                return Some(data);
            }
        }
        let mask = sha256(&[&block[32..]]);
        let mut key = [0; 32];
        for (at, byte) in key.iter_mut().enumerate() {
            *byte = block[at] ^ mask[at];
        }
        let mut padded = block[32..].to_vec();
        aes::ige_decrypt(&mut padded, &key, &[0; 32]);
        let data: Vec<u8> = padded[..192].iter().rev().copied().collect();
        (sha256(&[&key, &data])[..] == padded[192..]).then_some(data)
    }
}

/// The public key, `{"n","e"}` in decimal.
pub fn public_key() -> serde_json::Value {
    serde_json::json!({ "n": RSA.n.to_string(), "e": RSA.e.to_string() })
}

/// One exchange in progress, on one connection.
#[derive(Default)]
pub struct KeyExchange {
    nonce: [u8; 16],
    server_nonce: [u8; 16],
    new_nonce: [u8; 32],
    a: BigUint,
}

/// The answer to a step of the exchange.
pub struct Step {
    /// To be sent unencrypted.
    pub answer: Vec<u8>,
    /// The finished key, with the last step.
    pub key: Option<[u8; 256]>,
}

impl KeyExchange {
    /// Takes one unencrypted request. None: it makes no sense, the connection should end.
    pub fn step(&mut self, body: &[u8]) -> Option<Step> {
        let mut cursor = Cursor::from_slice(body);
        match u32::deserialize(&mut cursor).ok()? {
            functions::ReqPqMulti::CONSTRUCTOR_ID | functions::ReqPq::CONSTRUCTOR_ID => {
                self.nonce = <[u8; 16]>::deserialize(&mut cursor).ok()?;
                Some(self.offer())
            }
            functions::ReqDhParams::CONSTRUCTOR_ID => self.parameters(functions::ReqDhParams::deserialize(&mut cursor).ok()?),
            functions::SetClientDhParams::CONSTRUCTOR_ID => {
                self.finish(functions::SetClientDhParams::deserialize(&mut cursor).ok()?)
            }
            _ => None,
        }
    }

    fn offer(&mut self) -> Step {
        self.server_nonce = random();
        let offer = types::ResPq {
            nonce: self.nonce,
            server_nonce: self.server_nonce,
            pq: PQ.to_be_bytes().to_vec(),
            server_public_key_fingerprints: vec![RSA.fingerprint()],
        };
        Step { answer: enums::ResPq::Pq(offer).to_bytes(), key: None }
    }

    fn parameters(&mut self, request: functions::ReqDhParams) -> Option<Step> {
        let data = RSA.decrypt(&request.encrypted_data)?;
        let (nonce, server_nonce, new_nonce) = match enums::PQInnerData::from_bytes(&data).ok()? {
            enums::PQInnerData::Data(d) => (d.nonce, d.server_nonce, d.new_nonce),
            enums::PQInnerData::Dc(d) => (d.nonce, d.server_nonce, d.new_nonce),
            _ => return None,
        };
        if nonce != self.nonce || server_nonce != self.server_nonce {
            return None;
        }
        self.new_nonce = new_nonce;
        self.a = BigUint::from_bytes_be(&random::<256>());
        let g_a = BigUint::from(srp::GENERATOR as u32).modpow(&self.a, srp::prime());
        let inner = types::ServerDhInnerData {
            nonce,
            server_nonce,
            g: srp::GENERATOR,
            dh_prime: srp::prime_bytes(),
            g_a: srp::pad(&g_a).to_vec(),
            server_time: now() as i32,
        };
        let inner = enums::ServerDhInnerData::Data(inner).to_bytes();
        let mut encrypted_answer = Sha1::digest(&inner).to_vec();
        encrypted_answer.extend(&inner);
        encrypted_answer.resize(encrypted_answer.len().next_multiple_of(16), 0);
        let (key, iv) = generate_key_data_from_nonce(&server_nonce, &new_nonce);
        aes::ige_encrypt(&mut encrypted_answer, &key, &iv);
        let answer = types::ServerDhParamsOk { nonce, server_nonce, encrypted_answer };
        Some(Step { answer: enums::ServerDhParams::Ok(answer).to_bytes(), key: None })
    }

    fn finish(&mut self, mut request: functions::SetClientDhParams) -> Option<Step> {
        let data = &mut request.encrypted_data;
        if self.a == BigUint::ZERO || !data.len().is_multiple_of(16) || data.len() < 32 {
            return None;
        }
        let (key, iv) = generate_key_data_from_nonce(&self.server_nonce, &self.new_nonce);
        aes::ige_decrypt(data, &key, &iv);
        let enums::ClientDhInnerData::Data(inner) = enums::ClientDhInnerData::from_bytes(&data[20..]).ok()?;
        let g_b = BigUint::from_bytes_be(&inner.g_b);
        if g_b <= BigUint::from(1u32) || &g_b >= srp::prime() {
            return None;
        }
        let key = srp::pad(&g_b.modpow(&self.a, srp::prime()));
        let answer = types::DhGenOk {
            nonce: self.nonce,
            server_nonce: self.server_nonce,
            new_nonce_hash1: AuthKey::from_bytes(key).calc_new_nonce_hash(&self.new_nonce, 1),
        };
        Some(Step { answer: enums::SetClientDhParamsAnswer::DhGenOk(answer).to_bytes(), key: Some(key) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_out_of_order_and_garbage_end_the_exchange() {
        let mut exchange = KeyExchange::default();
        assert!(exchange.step(&[]).is_none() && exchange.step(&[1; 64]).is_none());
        let early = functions::SetClientDhParams { nonce: [0; 16], server_nonce: [0; 16], encrypted_data: vec![0; 64] };
        assert!(exchange.step(&early.to_bytes()).is_none());
        let offer = exchange.step(&functions::ReqPqMulti { nonce: [7; 16] }.to_bytes()).unwrap();
        let enums::ResPq::Pq(offer) = enums::ResPq::from_bytes(&offer.answer).unwrap();
        let mut pq = [0; 8];
        pq.copy_from_slice(&offer.pq);
        let (p, q) = grammers_crypto::factorize(u64::from_be_bytes(pq));
        assert_eq!(p * q, PQ);
        let forged = functions::ReqDhParams {
            nonce: [7; 16],
            server_nonce: offer.server_nonce,
            p: vec![],
            q: vec![],
            public_key_fingerprint: 0,
            encrypted_data: vec![0x11; 256],
        };
        assert!(exchange.step(&forged.to_bytes()).is_none());
    }
}

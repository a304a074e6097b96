//! MTProto 2.0 encryption from the server's side (<https://core.telegram.org/mtproto/description>): what `grammers-crypto` offers for
//! clients alone, on top of its AES-IGE.

use grammers_crypto::aes;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Key id and message key before the ciphertext.
const HEADER: usize = 24;

/// SHA-256 of the parts, one after the other.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// The id by which packets name a key: the lower 64 bits of its SHA-1.
pub fn key_id(key: &[u8; 256]) -> u64 {
    let digest = Sha1::digest(key);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[12..20]);
    u64::from_le_bytes(bytes)
}

/// AES key and initialisation vector; `x` is 0 for packets of the client and 8 for the server's.
fn derive(key: &[u8; 256], message_key: &[u8], x: usize) -> ([u8; 32], [u8; 32]) {
    let a = sha256(&[message_key, &key[x..x + 36]]);
    let b = sha256(&[&key[40 + x..76 + x], message_key]);
    let (mut aes_key, mut iv) = ([0; 32], [0; 32]);
    aes_key[..8].copy_from_slice(&a[..8]);
    aes_key[8..24].copy_from_slice(&b[8..24]);
    aes_key[24..].copy_from_slice(&a[24..]);
    iv[..8].copy_from_slice(&b[..8]);
    iv[8..24].copy_from_slice(&a[8..24]);
    iv[24..].copy_from_slice(&b[24..]);
    (aes_key, iv)
}

/// Decrypts a client's packet (with its header). None: not encrypted with this key, or changed on the way.
pub fn decrypt(key: &[u8; 256], packet: &[u8]) -> Option<Vec<u8>> {
    if packet.len() < HEADER + 32 || !(packet.len() - HEADER).is_multiple_of(16) {
        return None;
    }
    let message_key = &packet[8..HEADER];
    let (aes_key, iv) = derive(key, message_key, 0);
    let mut data = packet[HEADER..].to_vec();
    aes::ige_decrypt(&mut data, &aes_key, &iv);
    let check = sha256(&[&key[88..120], &data]);
    (check[8..24] == *message_key).then_some(data)
}

/// Encrypts a packet for a client, header included.
pub fn encrypt(key: &[u8; 256], key_id: u64, mut plain: Vec<u8>) -> Vec<u8> {
    let padding = 12 + (16 - (plain.len() + 12) % 16) % 16;
    plain.extend_from_slice(&crate::world::random::<32>()[..padding]);
    let digest = sha256(&[&key[96..128], &plain]);
    let message_key = &digest[8..24];
    let (aes_key, iv) = derive(key, message_key, 8);
    aes::ige_encrypt(&mut plain, &aes_key, &iv);
    let mut packet = Vec::with_capacity(HEADER + plain.len());
    packet.extend_from_slice(&key_id.to_le_bytes());
    packet.extend_from_slice(message_key);
    packet.extend_from_slice(&plain);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;
    use grammers_crypto::{AuthKey, DequeBuffer, decrypt_data_v2, encrypt_data_v2};

    #[test]
    fn packets_of_the_grammers_client_can_be_read_and_a_changed_one_is_refused() {
        let key = crate::world::random::<256>();
        let mut buffer = DequeBuffer::with_capacity(64, 32);
        buffer.extend([7u8; 48]);
        encrypt_data_v2(&mut buffer, &AuthKey::from_bytes(key));
        let packet = buffer[..].to_vec();
        assert_eq!(packet[..8], key_id(&key).to_le_bytes());
        assert_eq!(decrypt(&key, &packet).unwrap()[..48], [7; 48]);
        let mut changed = packet.clone();
        changed[40] ^= 1;
        assert!(decrypt(&key, &changed).is_none() && decrypt(&key, &packet[..30]).is_none());
    }

    #[test]
    fn the_grammers_client_can_read_our_packets_of_any_length() {
        let key = crate::world::random::<256>();
        for length in 32..64 {
            let mut packet = encrypt(&key, key_id(&key), vec![9; length]);
            let plain = decrypt_data_v2(&mut packet, &AuthKey::from_bytes(key)).unwrap();
            assert_eq!(plain[..length], vec![9; length]);
            assert!((12..=1024).contains(&(plain.len() - length)));
        }
    }
}

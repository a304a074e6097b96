//! Telethon's `StringSession`: `1` + base64url of `dc u8 · ip (4 or 16 bytes) · port u16 BE · auth key (256 bytes)`.

use crate::Secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use std::net::{IpAddr, SocketAddr};
use zeroize::Zeroize;

/// An MTProto authorization key: whoever has it is the account.
pub type AuthKey = Secret<[u8; 256]>;

/// A logged-in session: the account's home DC and its key there.
#[derive(Clone, Debug)]
pub struct StringSession {
    /// Number of the data centre, 1 to 5.
    pub dc: u8,
    /// Address of the data centre.
    pub address: SocketAddr,
    /// The key.
    pub auth_key: AuthKey,
}

/// The text is not a `StringSession`.
#[derive(Debug, thiserror::Error)]
#[error("not a Telethon StringSession")]
pub struct InvalidSession;

impl StringSession {
    /// The text that Telethon's `StringSession.save()` gives.
    pub fn encode(&self) -> Secret<String> {
        let mut bytes = vec![self.dc];
        match self.address.ip() {
            IpAddr::V4(ip) => bytes.extend(ip.octets()),
            IpAddr::V6(ip) => bytes.extend(ip.octets()),
        }
        bytes.extend(self.address.port().to_be_bytes());
        bytes.extend(self.auth_key.expose());
        let text = Secret::new(format!("1{}", URL_SAFE.encode(&bytes)));
        bytes.zeroize();
        text
    }

    /// Reads what Telethon or [`StringSession::encode`] wrote.
    pub fn decode(text: &str) -> Result<Self, InvalidSession> {
        let bytes = Secret::new(text.strip_prefix('1').and_then(|rest| URL_SAFE.decode(rest).ok()).ok_or(InvalidSession)?);
        let (ip, rest): (IpAddr, &[u8]) = match bytes.expose().len() {
            263 => (<[u8; 4]>::try_from(&bytes.expose()[1..5]).map_err(|_| InvalidSession)?.into(), &bytes.expose()[5..]),
            275 => (<[u8; 16]>::try_from(&bytes.expose()[1..17]).map_err(|_| InvalidSession)?.into(), &bytes.expose()[17..]),
            _ => return Err(InvalidSession),
        };
        let port = u16::from_be_bytes([rest[0], rest[1]]);
        let auth_key = Secret::new(rest[2..].try_into().map_err(|_| InvalidSession)?);
        Ok(Self { dc: bytes.expose()[0], address: (ip, port).into(), auth_key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_round_trips_in_both_address_families() {
        for (address, length) in [("149.154.167.51:443", 353), ("[2001:67c:4e8:f002::a]:443", 369)] {
            let session = StringSession { dc: 2, address: address.parse().unwrap(), auth_key: Secret::new([7; 256]) };
            let text = session.encode();
            assert_eq!(text.expose().len(), length);
            let back = StringSession::decode(text.expose()).unwrap();
            assert_eq!((back.dc, back.address, back.auth_key.expose()), (2, session.address, &[7; 256]));
        }
    }

    #[test]
    fn rubbish_is_refused() {
        for text in ["", "1", "2AAAA", "1!!!!", &format!("1{}", "A".repeat(348))] {
            assert!(StringSession::decode(text).is_err(), "{text}");
        }
    }
}

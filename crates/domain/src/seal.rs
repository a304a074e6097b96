//! Sealing secrets for the database: AES-256-GCM under a key derived from the configured secret, bound to the place where the
//! value is stored, so that a ciphertext moved to another row or column does not open.

use crate::Secret;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// Where a sealed value stands: table, row id and column are authenticated together with it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Table name.
    pub table: &'a str,
    /// The row's key as text.
    pub row: &'a str,
    /// Column name.
    pub column: &'a str,
}

impl Place<'_> {
    fn associated_data(&self) -> Vec<u8> {
        [self.table, self.row, self.column].join("\u{1f}").into_bytes()
    }
}

/// Why a sealed value does not open.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SealError {
    /// Sealed under a secret that is not configured (neither current nor previous).
    #[error("sealed under an unknown key")]
    UnknownKey,
    /// Not a sealed value, or changed, or moved from another row.
    #[error("the sealed value is damaged or belongs elsewhere")]
    Damaged,
}

struct Key {
    id: String,
    cipher: Aes256Gcm,
    fernet: Option<fernet::Fernet>,
}

impl Key {
    fn derive(secret: &str) -> Self {
        let hkdf = Hkdf::<Sha256>::new(Some(b"tuberry/personal-telegram/v1"), secret.as_bytes());
        let (mut key, mut id) = (Zeroizing::new([0u8; 32]), [0u8; 4]);
        hkdf.expand(b"seal", key.as_mut()).expect("32 bytes is a valid HKDF-SHA-256 length");
        hkdf.expand(b"key id", &mut id).expect("4 bytes is a valid HKDF-SHA-256 length");
        Self {
            id: URL_SAFE_NO_PAD.encode(id),
            cipher: Aes256Gcm::new_from_slice(key.as_ref()).expect("the key has 32 bytes"),
            fernet: fernet::Fernet::new(&URL_SAFE.encode(Sha256::digest(secret.as_bytes()))),
        }
    }
}

/// What a stored value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form<'a> {
    /// Ours, with the key's id.
    Sealed(&'a str),
    /// A Fernet token of the old system.
    Fernet,
    /// Neither.
    Other,
}

impl<'a> Form<'a> {
    /// The form of a value.
    pub fn of(sealed: &'a str) -> Self {
        if sealed.starts_with("gAAAA") {
            return Self::Fernet;
        }
        sealed.strip_prefix("v1.").and_then(|rest| rest.split_once('.')).map_or(Self::Other, |(id, _)| Self::Sealed(id))
    }
}

/// Which secret a value is under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The current one.
    Current,
    /// A previous one.
    Previous,
    /// None that is configured.
    Unknown,
}

/// Seals under the current secret, opens under it and the previous ones, and opens the old system's Fernet tokens.
pub struct Sealer {
    current: Key,
    previous: Vec<Key>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(…)")
    }
}

impl Sealer {
    /// `secret` is `PERSONAL_TELEGRAM_SESSION_SECRET`, or `APP_SECRET` where that is empty.
    pub fn new(secret: &Secret<String>, previous: &[Secret<String>]) -> Self {
        Self {
            current: Key::derive(secret.expose()),
            previous: previous.iter().map(|secret| Key::derive(secret.expose())).collect(),
        }
    }

    /// `v1.<key id>.<base64url nonce‖ciphertext>`.
    pub fn seal(&self, place: Place<'_>, plain: &[u8]) -> String {
        let mut nonce = [0u8; 12];
        getrandom::fill(&mut nonce).expect("the system has randomness");
        let payload = Payload { msg: plain, aad: &place.associated_data() };
        let sealed = self.current.cipher.encrypt(&Nonce::from(nonce), payload).expect("AES-GCM encrypts what fits in memory");
        format!("v1.{}.{}", self.current.id, URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    /// Opens what [`Sealer::seal`] made for the same place, or a Fernet token of the old system (which knows no place).
    pub fn open(&self, place: Place<'_>, sealed: &str) -> Result<Secret<Vec<u8>>, SealError> {
        if sealed.starts_with("gAAAA") {
            return self
                .keys()
                .find_map(|key| key.fernet.as_ref()?.decrypt(sealed).ok())
                .map(Secret::new)
                .ok_or(SealError::UnknownKey);
        }
        let (id, body) = sealed.strip_prefix("v1.").and_then(|rest| rest.split_once('.')).ok_or(SealError::Damaged)?;
        let key = self.keys().find(|key| key.id == id).ok_or(SealError::UnknownKey)?;
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| SealError::Damaged)?;
        let (nonce, sealed) = bytes.split_first_chunk::<12>().ok_or(SealError::Damaged)?;
        let payload = Payload { msg: sealed, aad: &place.associated_data() };
        key.cipher.decrypt(&Nonce::from(*nonce), payload).map(Secret::new).map_err(|_| SealError::Damaged)
    }

    /// True when a value should be sealed anew: another key than the current one, or a Fernet token.
    pub fn is_outdated(&self, sealed: &str) -> bool {
        sealed.strip_prefix("v1.").is_none_or(|rest| rest.split('.').next() != Some(self.current.id.as_str()))
    }

    /// Which secret a value is under, whatever its form.
    pub fn standing(&self, sealed: &str) -> Standing {
        let opens = |key: &Key| match Form::of(sealed) {
            Form::Sealed(id) => key.id == id,
            Form::Fernet => key.fernet.as_ref().is_some_and(|fernet| fernet.decrypt(sealed).map(Secret::new).is_ok()),
            Form::Other => false,
        };
        match self.keys().position(opens) {
            Some(0) => Standing::Current,
            Some(_) => Standing::Previous,
            None => Standing::Unknown,
        }
    }

    /// A Fernet token of the old system under the current secret, for `personal_telegram_accounts.session_payload`.
    pub fn fernet(&self, plain: &[u8]) -> Option<String> {
        Some(self.current.fernet.as_ref()?.encrypt(plain))
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place { table: "t", row: "1", column: "c" };

    fn sealer(secret: &str, previous: &[&str]) -> Sealer {
        let previous: Vec<_> = previous.iter().map(|secret| Secret::new((*secret).to_owned())).collect();
        Sealer::new(&Secret::new(secret.to_owned()), &previous)
    }

    fn rotated_again() -> Sealer {
        sealer("three", &["two", "one"])
    }

    #[test]
    fn a_sealed_value_opens_at_its_place_only() {
        let sealer = sealer("one", &[]);
        let sealed = sealer.seal(PLACE, b"session");
        assert_eq!(sealer.open(PLACE, &sealed).unwrap().expose(), b"session");
        for other in [Place { row: "2", ..PLACE }, Place { table: "u", ..PLACE }, Place { column: "d", ..PLACE }] {
            assert_eq!(sealer.open(other, &sealed).unwrap_err(), SealError::Damaged);
        }
    }

    #[test]
    fn a_previous_secret_opens_and_asks_to_be_sealed_anew() {
        let old = sealer("one", &[]).seal(PLACE, b"session");
        let rotated = sealer("two", &["one"]);
        assert_eq!(rotated.open(PLACE, &old).unwrap().expose(), b"session");
        assert!(rotated.is_outdated(&old) && !rotated.is_outdated(&rotated.seal(PLACE, b"session")));
        assert_eq!(sealer("two", &[]).open(PLACE, &old).unwrap_err(), SealError::UnknownKey);
        let token = sealer("one", &[]).fernet(b"1session").unwrap();
        for value in [old, token] {
            let standing = |sealer: Sealer| sealer.standing(&value);
            assert_eq!(standing(sealer("one", &["two"])), Standing::Current);
            assert_eq!((standing(rotated_again()), standing(sealer("two", &[]))), (Standing::Previous, Standing::Unknown));
        }
    }

    #[test]
    fn a_fernet_token_of_the_old_system_opens() {
        let sealer = sealer("one", &[]);
        let token = sealer.fernet(b"1session").unwrap();
        assert!(token.starts_with("gAAAA") && sealer.is_outdated(&token));
        assert_eq!(sealer.open(PLACE, &token).unwrap().expose(), b"1session");
    }

    #[test]
    fn a_changed_value_does_not_open() {
        let sealer = sealer("one", &[]);
        let mut sealed = sealer.seal(PLACE, b"session").into_bytes();
        let last = sealed.len() - 2;
        sealed[last] = if sealed[last] == b'A' { b'B' } else { b'A' };
        assert_eq!(sealer.open(PLACE, std::str::from_utf8(&sealed).unwrap()).unwrap_err(), SealError::Damaged);
    }
}

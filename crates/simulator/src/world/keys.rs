//! Authorization keys: which data centre made them, who is signed in with them, and which of them are dead.

use super::{World, base64_bytes};
use crate::mtproto::crypto::key_id;
use serde::{Deserialize, Serialize};

/// The most keys kept; further key exchanges are refused.
const LIMIT: usize = 100_000;

/// An authorization key of one data centre.
#[derive(Serialize, Deserialize)]
pub struct AuthKey {
    /// The secret itself.
    #[serde(with = "base64_bytes")]
    pub key: [u8; 256],
    /// The data centre that knows it.
    pub dc: i32,
    /// Who is signed in.
    pub user: Option<i64>,
    /// Whose QR code was accepted, while the password is still missing.
    pub awaiting_password: Option<i64>,
    /// The error of calls that need a signed-in user, after the session was ended from outside (`SESSION_REVOKED`).
    pub ended: Option<String>,
    /// Two connections used it at the same time: every call answers 406 `AUTH_KEY_DUPLICATED`.
    pub killed: bool,
    /// How many connections have used it so far.
    #[serde(default)]
    pub connections: u64,
}

impl World {
    /// Registers a key; none: too many keys. The answer is the key's id.
    pub fn add_key(&mut self, dc: i32, key: [u8; 256]) -> Option<u64> {
        if self.keys.len() >= LIMIT {
            return None;
        }
        let id = key_id(&key);
        self.keys
            .insert(id, AuthKey { key, dc, user: None, awaiting_password: None, ended: None, killed: false, connections: 0 });
        self.touch();
        Some(id)
    }

    /// Signs the user in with the key.
    pub fn sign_in(&mut self, key: u64, user: i64) {
        if let Some(key) = self.keys.get_mut(&key) {
            key.user = Some(user);
            key.awaiting_password = None;
            key.ended = None;
        }
        self.touch();
    }

    /// Who is signed in with the key.
    pub fn key_user(&self, key: u64) -> Option<i64> {
        self.keys.get(&key).and_then(|key| key.user)
    }

    /// Ends all sessions of the user: further calls answer 401 with `error`. The answer is how many sessions there were.
    pub fn revoke(&mut self, user: i64, error: &str) -> usize {
        let mut ended = 0;
        for key in self.keys.values_mut().filter(|key| key.user == Some(user)) {
            key.user = None;
            key.ended = Some(error.to_owned());
            ended += 1;
        }
        self.touch();
        ended
    }

    /// Forgets all keys of the user as if the data centre had never known them (transport error −404).
    pub fn forget_keys(&mut self, user: i64) -> usize {
        let before = self.keys.len();
        self.keys.retain(|_, key| key.user != Some(user));
        self.touch();
        before - self.keys.len()
    }

    /// Makes the key useless for ever, because two connections used it at the same time.
    pub fn kill_key(&mut self, id: u64) {
        if let Some(key) = self.keys.get_mut(&id)
            && !key.killed
        {
            key.killed = true;
            self.stats.keys_killed += 1;
            self.touch();
        }
    }
}

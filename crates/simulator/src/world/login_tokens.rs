//! QR login tokens: exported by a device that wants to sign in, scanned by the phone of a user, used once.
//! See <https://core.telegram.org/api/qr-login>.

use super::World;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tokens are remembered this long after their end, to tell an expired one from an unknown one.
const REMEMBERED_MS: i64 = 3_600_000;
/// The most tokens remembered.
const LIMIT: usize = 20_000;

/// All tokens, by their base64url text.
#[derive(Default, Serialize, Deserialize)]
pub struct LoginTokens(BTreeMap<String, LoginToken>);

#[derive(Serialize, Deserialize)]
struct LoginToken {
    /// The key that asked for it.
    key: u64,
    /// Unix milliseconds.
    expires_ms: i64,
    accepted_by: Option<i64>,
    used: bool,
}

/// What a data centre finds when a device shows a token.
#[derive(Debug, PartialEq)]
pub enum Found {
    /// A phone has scanned it.
    Accepted(i64),
    /// Nobody has scanned it yet.
    Waiting,
    /// It was used for a login already.
    Used,
    /// Its time is over.
    Expired,
    /// No such token.
    Unknown,
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

impl LoginTokens {
    /// The token of this key: the one it has while that is alive (or scanned, and not yet used), else a new one. The answer is (token,
    /// Unix seconds of its end).
    pub fn export(&mut self, key: u64, lifetime: Duration) -> (Vec<u8>, i64) {
        let now = now_ms();
        let alive = self.0.iter().find(|(_, t)| t.key == key && !t.used && (t.expires_ms > now || t.accepted_by.is_some()));
        if let Some((text, token)) = alive
            && let Ok(bytes) = URL_SAFE_NO_PAD.decode(text)
        {
            return (bytes, token.expires_ms / 1000);
        }
        self.0.retain(|_, t| t.expires_ms + REMEMBERED_MS > now);
        while self.0.len() >= LIMIT {
            self.0.pop_first();
        }
        let bytes = super::random::<32>().to_vec();
        let expires_ms = now.saturating_add(lifetime.as_millis().min(i64::MAX as u128) as i64);
        let token = LoginToken { key, expires_ms, accepted_by: None, used: false };
        self.0.insert(URL_SAFE_NO_PAD.encode(&bytes), token);
        (bytes, expires_ms / 1000)
    }

    /// The state of a token.
    pub fn find(&self, token: &[u8]) -> Found {
        match self.0.get(&URL_SAFE_NO_PAD.encode(token)) {
            None => Found::Unknown,
            Some(t) if t.used => Found::Used,
            Some(LoginToken { accepted_by: Some(user), .. }) => Found::Accepted(*user),
            Some(t) if t.expires_ms <= now_ms() => Found::Expired,
            Some(_) => Found::Waiting,
        }
    }

    /// The token was used for a login: it works no more.
    pub fn consume(&mut self, token: &[u8]) {
        if let Some(token) = self.0.get_mut(&URL_SAFE_NO_PAD.encode(token)) {
            token.used = true;
        }
    }
}

impl World {
    /// The phone of `user` scans the QR code. The answer is the key that waits for it; errors are Telegram's names for
    /// `auth.acceptLoginToken`.
    pub fn scan(&mut self, user: i64, token: &[u8]) -> Result<u64, &'static str> {
        match self.login_tokens.find(token) {
            Found::Unknown => Err("AUTH_TOKEN_INVALID"),
            Found::Expired => Err("AUTH_TOKEN_EXPIRED"),
            Found::Used | Found::Accepted(_) => Err("AUTH_TOKEN_ALREADY_ACCEPTED"),
            Found::Waiting => {
                let token = self.login_tokens.0.get_mut(&URL_SAFE_NO_PAD.encode(token)).ok_or("AUTH_TOKEN_INVALID")?;
                token.accepted_by = Some(user);
                let key = token.key;
                self.touch();
                Ok(key)
            }
        }
    }
}

/// The token inside of `tg://login?token=<base64url>`, with or without padding.
pub fn parse_login_url(url: &str) -> Option<Vec<u8>> {
    let token = url.trim().strip_prefix("tg://login?token=")?;
    let token = token.split('&').next()?.trim_end_matches('=').trim_end_matches("%3D");
    (token.len() <= 256).then(|| URL_SAFE_NO_PAD.decode(token).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stays_the_same_while_it_lives_and_is_renewed_after() {
        let mut tokens = LoginTokens::default();
        let (first, _) = tokens.export(1, Duration::from_secs(60));
        assert_eq!(tokens.export(1, Duration::from_secs(60)).0, first);
        assert_ne!(tokens.export(2, Duration::ZERO).0, first);
        let (expired, _) = tokens.export(2, Duration::ZERO);
        assert_eq!(tokens.find(&expired), Found::Expired);
        assert_ne!(tokens.export(2, Duration::from_secs(60)).0, expired);
    }

    #[test]
    fn a_token_is_scanned_once_and_used_once() {
        let mut world = World::default();
        let (token, _) = world.login_tokens.export(9, Duration::from_secs(60));
        assert_eq!(world.scan(5, b"other"), Err("AUTH_TOKEN_INVALID"));
        assert_eq!(world.scan(5, &token), Ok(9));
        assert_eq!(world.scan(6, &token), Err("AUTH_TOKEN_ALREADY_ACCEPTED"));
        assert_eq!(world.login_tokens.find(&token), Found::Accepted(5));
        world.login_tokens.consume(&token);
        assert_eq!(world.login_tokens.find(&token), Found::Used);
    }

    #[test]
    fn a_login_url_holds_the_token_in_base64url() {
        assert_eq!(parse_login_url("tg://login?token=-_8"), Some(vec![0xfb, 0xff]));
        assert_eq!(parse_login_url("tg://login?token=-_8%3D"), Some(vec![0xfb, 0xff]));
        assert_eq!(parse_login_url("https://example.org/?token=-_8"), None);
    }
}

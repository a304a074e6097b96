//! Sessions of the portal: a random cookie, whose hash stands in the database. Every form and every call that changes something carries a token that
//! only a page of that session can know (CSRF).

use crate::random;
use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::time::Duration;
use subtle::ConstantTimeEq;
use tuberry_domain::UserId;
use tuberry_storage::portal_sessions::{self, SignedIn};
use tuberry_storage::{Result, Store};

/// How long somebody stays signed in at most, and without looking at a page.
const LIFETIME: Duration = Duration::from_secs(14 * 86_400);
const IDLE: Duration = Duration::from_secs(3 * 86_400);

const COOKIE: &str = "tuberry_session";

/// Header that carries the CSRF token of calls.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// A session's cookie: 32 random bytes in base64url.
#[derive(Clone)]
pub struct SessionCookie(String);

impl std::fmt::Debug for SessionCookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionCookie(…)")
    }
}

impl SessionCookie {
    /// That of a request.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        cookie(headers, COOKIE).filter(|value| value.len() == 43).map(|value| Self(value.to_owned()))
    }

    fn new() -> Self {
        Self(random::token(32))
    }

    /// What stands in the database for it.
    pub fn id(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// What forms and calls of this session carry.
    pub fn csrf(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(format!("csrf:{}", self.0)))
    }

    /// Whether `token` is this session's.
    pub fn fits(&self, token: &str) -> bool {
        self.csrf().as_bytes().ct_eq(token.as_bytes()).into()
    }
}

/// The value of a cookie.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|value| value.split(';')).find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

fn set_cookie(headers: &HeaderMap, value: &str, seconds: u64) -> String {
    // The proxy that ends TLS says so.
    let tls = headers.get("x-forwarded-proto").is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"));
    let secure = if tls { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

/// Begins a session; the `Set-Cookie` value.
pub async fn begin(store: &Store, headers: &HeaderMap, user: UserId) -> Result<String> {
    if let Some(former) = SessionCookie::of(headers) {
        portal_sessions::end(store, &former.id()).await?;
    }
    let session = SessionCookie::new();
    portal_sessions::begin(store, &session.id(), user, LIFETIME).await?;
    Ok(set_cookie(headers, &session.0, LIFETIME.as_secs()))
}

/// Ends the request's session; the `Set-Cookie` value that takes it away.
pub async fn end(store: &Store, headers: &HeaderMap) -> Result<String> {
    if let Some(session) = SessionCookie::of(headers) {
        portal_sessions::end(store, &session.id()).await?;
    }
    Ok(set_cookie(headers, "", 0))
}

/// Who is signed in with this cookie.
pub async fn find(store: &Store, session: &SessionCookie) -> Result<Option<SignedIn>> {
    portal_sessions::find(store, &session.id(), IDLE).await
}

/// Whether a call carries its session's CSRF token.
pub fn csrf_fits(headers: &HeaderMap) -> bool {
    let token = headers.get(CSRF_HEADER).and_then(|token| token.to_str().ok());
    SessionCookie::of(headers).zip(token).is_some_and(|(session, token)| session.fits(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(cookies: &[&str]) -> HeaderMap {
        cookies.iter().map(|cookie| (header::COOKIE, cookie.parse().unwrap())).collect()
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        assert_eq!(cookie(&headers(&["a=1; tuberry_session=x; b=2"]), COOKIE), Some("x"));
        assert_eq!(cookie(&headers(&["a=1", "tuberry_session=x"]), COOKIE), Some("x"));
        assert_eq!(cookie(&headers(&["tuberry_session_2=x"]), COOKIE), None);
    }

    #[test]
    fn a_token_belongs_to_one_session() {
        let (one, other) = (SessionCookie::new(), SessionCookie::new());
        assert!(one.fits(&one.csrf()) && !one.fits(&other.csrf()) && !one.fits(""));
    }

    #[test]
    fn the_cookie_is_secure_behind_tls() {
        let mut headers = HeaderMap::new();
        assert!(!set_cookie(&headers, "x", 1).contains("Secure"));
        headers.insert("x-forwarded-proto", "https".parse().unwrap());
        assert!(set_cookie(&headers, "x", 1).ends_with("HttpOnly; SameSite=Lax; Secure"));
    }
}

//! Bearer tokens: JWT, HS256 under `JWT_SECRET`, claims `sub` (users.id as a string) and `exp`, as the old system makes them.

mod hs256;

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use tuberry_domain::{Secret, UserId};

/// Longest token that is looked at, in bytes.
const LONGEST: usize = 4096;

/// Makes and checks tokens.
#[derive(Clone)]
pub struct Tokens {
    signs: EncodingKey,
    checks: DecodingKey,
    lifetime: Duration,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(…)")
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    exp: u64,
}

impl Tokens {
    /// `lifetime` is that of new tokens.
    pub fn new(secret: &Secret<String>, lifetime: Duration) -> Self {
        hs256::install();
        let secret = secret.expose().as_bytes();
        Self { signs: EncodingKey::from_secret(secret), checks: DecodingKey::from_secret(secret), lifetime }
    }

    /// A token of `user`, and when it ends.
    pub fn issue(&self, user: UserId) -> (String, DateTime<Utc>) {
        let until = Utc::now() + self.lifetime;
        let claims = Claims { sub: user.to_string(), exp: until.timestamp().unsigned_abs() };
        let token = encode(&Header::new(Algorithm::HS256), &claims, &self.signs).expect("two plain claims always encode");
        (token, until)
    }

    /// Whose token it is; `None` when it is not ours, was changed, or has ended. Whether that user still exists is another question.
    pub fn check(&self, token: &str) -> Option<UserId> {
        if token.len() > LONGEST {
            return None;
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.validate_aud = false;
        validation.validate_nbf = true;
        let claims = decode::<Claims>(token, &self.checks, &validation).ok()?.claims;
        claims.sub.parse().ok().map(UserId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(secret: &str, seconds: u64) -> Tokens {
        Tokens::new(&Secret::new(secret.to_owned()), Duration::from_secs(seconds))
    }

    #[test]
    fn a_token_names_its_user() {
        let tokens = tokens("jwt", 60);
        assert_eq!(tokens.check(&tokens.issue(UserId(7)).0), Some(UserId(7)));
    }

    #[test]
    fn foreign_ended_and_unsigned_tokens_are_nobodys() {
        let ours = tokens("jwt", 60);
        assert_eq!(ours.check(&tokens("other", 60).issue(UserId(7)).0), None);
        let ended = Claims { sub: "7".into(), exp: Utc::now().timestamp().unsigned_abs() - 2 };
        assert_eq!(ours.check(&encode(&Header::new(Algorithm::HS256), &ended, &ours.signs).unwrap()), None);
        // {"alg":"HS384"} before what HS256 signed.
        let (token, _) = ours.issue(UserId(7));
        let (_, signed) = token.split_once('.').unwrap();
        assert_eq!(ours.check(&format!("eyJhbGciOiJIUzM4NCJ9.{signed}")), None);
        // {"alg":"none"} . {"sub":"7","exp":4294967295} .
        assert_eq!(ours.check("eyJhbGciOiJub25lIn0.eyJzdWIiOiI3IiwiZXhwIjo0Mjk0OTY3Mjk1fQ."), None);
        assert_eq!(ours.check(&"x".repeat(5000)), None);
    }

    #[test]
    fn claims_of_another_type_are_refused() {
        let ours = tokens("jwt", 60);
        for claims in [
            serde_json::json!({ "sub": "7", "exp": "4294967295" }),
            serde_json::json!({ "sub": "7" }),
            serde_json::json!({ "sub": 7, "exp": 4_294_967_295u64 }),
            serde_json::json!({ "sub": "7", "exp": 4_294_967_295u64, "nbf": "4294967295" }),
        ] {
            let token = encode(&Header::new(Algorithm::HS256), &claims, &ours.signs).unwrap();
            assert_eq!(ours.check(&token), None, "{claims}");
        }
    }
}

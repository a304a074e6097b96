//! Portal passwords: argon2id for new ones; the bcrypt hashes of the old system verify too.

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use std::sync::LazyLock;
use tuberry_domain::Secret;

/// Longest password that is hashed, in bytes.
pub const LONGEST: usize = 1024;

/// Shortest new password, in characters.
pub const LEAST: usize = 10;

/// Longest new password, in characters: in any script within [`LONGEST`].
pub const MOST: usize = LONGEST / 4;

/// Why a password cannot be a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Fewer than [`LEAST`].
    #[error("the password must have at least {LEAST} characters")]
    TooShort,
    /// More than [`MOST`].
    #[error("the password must have at most {MOST} characters")]
    TooLong,
}

/// Whether `password` may be somebody's new one.
pub fn check_new(password: &Secret<String>) -> Result<(), Unfit> {
    match password.expose().chars().count() {
        ..LEAST => Err(Unfit::TooShort),
        LEAST..=MOST => Ok(()),
        _ => Err(Unfit::TooLong),
    }
}

/// A hash of nothing that anybody knows: compared with when there is no such user, so that the answer takes as long.
static NOBODY: LazyLock<String> = LazyLock::new(|| {
    let mut unknown = [0u8; 32];
    getrandom::fill(&mut unknown).expect("the system has randomness");
    argon2id(&unknown)
});

/// The argon2id hash (PHC string) to store. Takes tens of milliseconds of CPU.
pub fn hash(password: &Secret<String>) -> String {
    argon2id(password.expose().as_bytes())
}

/// A bcrypt hash, which the old system can read. It looks at the first 72 bytes.
pub fn hash_for_the_old_system(password: &Secret<String>) -> String {
    let hash = bcrypt::hash(password.expose(), bcrypt::DEFAULT_COST).expect("the default cost is valid");
    debug_assert!(hash.starts_with("$2b$"));
    hash
}

fn argon2id(password: &[u8]) -> String {
    let mut salt = [0u8; 16];
    getrandom::fill(&mut salt).expect("the system has randomness");
    let salt = SaltString::encode_b64(&salt).expect("16 bytes is a valid salt length");
    Argon2::default().hash_password(password, &salt).expect("argon2's default parameters are valid").to_string()
}

/// True when `password` is the one that `hash` was made from. Blocks for tens to hundreds of milliseconds, also where there is no hash.
pub fn verify(password: &Secret<String>, hash: Option<&str>) -> bool {
    let password = password.expose();
    if password.len() > LONGEST {
        return false;
    }
    match hash.filter(|hash| !hash.is_empty()) {
        Some(hash) if hash.starts_with("$2") => bcrypt::verify(password, hash).unwrap_or(false),
        Some(hash) => matches_argon2(password, hash),
        None => {
            matches_argon2(password, &NOBODY);
            false
        }
    }
}

/// True for a hash of the old system's kind.
pub fn is_of_the_old_system(hash: &str) -> bool {
    hash.starts_with("$2")
}

fn matches_argon2(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_new_hash_is_argon2id_and_verifies_its_password_only() {
        let hash = hash(&secret("пароль"));
        assert!(hash.starts_with("$argon2id$"));
        assert!(verify(&secret("пароль"), Some(&hash)));
        assert!(!verify(&secret("Пароль"), Some(&hash)));
    }

    #[test]
    fn a_new_password_is_measured_in_characters() {
        let check = |character: &str, times: usize| check_new(&secret(&character.repeat(times)));
        for character in ["x", "ж", "🔑"] {
            assert_eq!(check(character, LEAST - 1), Err(Unfit::TooShort));
            assert_eq!(check(character, LEAST), Ok(()));
            assert_eq!(check(character, MOST), Ok(()));
            assert_eq!(check(character, MOST + 1), Err(Unfit::TooLong));
        }
        let longest = secret(&"🔑".repeat(MOST));
        assert!(verify(&longest, Some(&hash(&longest))), "what may be set lets in");
    }

    #[test]
    fn a_bcrypt_hash_of_the_old_system_verifies() {
        let old = bcrypt::hash("geheim", 4).unwrap().replace("$2y$", "$2b$");
        assert!(old.starts_with("$2b$"));
        assert!(verify(&secret("geheim"), Some(&old)));
        assert!(!verify(&secret("falsch"), Some(&old)));
    }

    #[test]
    fn nobody_has_no_password() {
        for hash in [None, Some(""), Some("plain"), Some("$2b$rubbish"), Some("$argon2id$rubbish")] {
            assert!(!verify(&secret(""), hash) && !verify(&secret("plain"), hash));
        }
    }
}

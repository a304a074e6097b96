//! Secrets and names that nobody can guess.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// So many random bytes in base64url: letters, digits, `-` and `_`, which need no quoting anywhere.
pub fn token(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).expect("the system has randomness");
    URL_SAFE_NO_PAD.encode(random)
}

//! The server's half of the 2FA password check (<https://core.telegram.org/api/srp>): SRP over Telegram's 2048-bit prime. The password
//! itself is seen once, when the user is created, and not kept.

use super::crypto::sha256;
use crate::world::base64_bytes;
use num_bigint::BigUint;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;
use subtle::ConstantTimeEq;

/// Telegram's well-known safe prime, big-endian.
const PRIME_HEX: &str = "c71caeb9c6b1c9048e6c522f70f13f73980d40238e3e21c14934d037563d930f48198a0aa7c14058229493d22530f4dbfa336f6e0ac925139543aed44cce7c3720fd51f69458705ac68cd4fe6b6b13abdc9746512969328454f18faf8c595f642477fe96bb2a941d5bcd1d4ac8cc49880708fa9b378e3c4f3a9060bee67cf9a4a4a695811051907e162753b56b0f6b410dba74d8a84b2a14b3144e0ef1284754fd17ed950d5965b4b9dd46582db1178d169c6bc465b0d6ff9ca3928fef5b9ae4e418fc15e83ebea0f87fa9ff5eed70050ded2849f47bf959d956850ce929851f0d8115f635b105ee2e4e15d04b2454bf6f4fadf034b10403119cd8e3b92fcc5b";

/// The generator that goes with the prime.
pub const GENERATOR: i32 = 3;

static PRIME: LazyLock<BigUint> =
    LazyLock::new(|| BigUint::parse_bytes(PRIME_HEX.as_bytes(), 16).expect("the constant is hexadecimal"));

/// The prime as a number.
pub fn prime() -> &'static BigUint {
    &PRIME
}

/// The prime as 256 bytes.
pub fn prime_bytes() -> Vec<u8> {
    pad(&PRIME).to_vec()
}

/// A number below 2²⁰⁴⁸ as 256 bytes, big-endian.
pub fn pad(number: &BigUint) -> [u8; 256] {
    let bytes = number.to_bytes_be();
    let mut padded = [0; 256];
    padded[256 - bytes.len()..].copy_from_slice(&bytes);
    padded
}

fn generator() -> BigUint {
    BigUint::from(GENERATOR as u32)
}

fn salted(data: &[u8], salt: &[u8]) -> [u8; 32] {
    sha256(&[salt, data, salt])
}

/// What the server keeps of a password.
#[derive(Serialize, Deserialize)]
pub struct Verifier {
    /// First salt.
    #[serde(with = "base64_bytes")]
    pub salt1: Vec<u8>,
    /// Second salt.
    #[serde(with = "base64_bytes")]
    pub salt2: Vec<u8>,
    #[serde(with = "base64_bytes")]
    v: Vec<u8>,
}

/// A challenge given out: the secret exponent and the public value.
pub struct Challenge {
    b: BigUint,
    /// `srp_B`, 256 bytes.
    pub public: [u8; 256],
}

impl Verifier {
    /// Derives the verifier: 100,000 rounds of PBKDF2, tens of milliseconds of CPU.
    pub fn new(password: &str) -> Self {
        let salt1 = crate::world::random::<40>().to_vec();
        let salt2 = crate::world::random::<16>().to_vec();
        let first = salted(&salted(password.as_bytes(), &salt1), &salt2);
        let mut derived = [0; 64];
        pbkdf2::pbkdf2::<hmac::Hmac<sha2::Sha512>>(&first, &salt1, 100_000, &mut derived).expect("HMAC takes keys of any length");
        let x = BigUint::from_bytes_be(&salted(&derived, &salt2));
        let v = generator().modpow(&x, prime()).to_bytes_be().to_vec();
        Self { salt1, salt2, v }
    }

    /// A fresh challenge.
    pub fn challenge(&self) -> Challenge {
        let b = BigUint::from_bytes_be(&crate::world::random::<32>());
        let k = BigUint::from_bytes_be(&sha256(&[&prime_bytes(), &pad(&generator())]));
        let v = BigUint::from_bytes_be(&self.v);
        let public = (k * v + generator().modpow(&b, prime())) % prime();
        Challenge { b, public: pad(&public) }
    }

    /// Whether the proof (`A`, `M1`) shows that the client knows the password.
    pub fn accepts(&self, challenge: &Challenge, a: &[u8], m1: &[u8]) -> bool {
        if a.len() > 256 {
            return false;
        }
        let a = BigUint::from_bytes_be(a);
        if a == BigUint::ZERO || &a >= prime() {
            return false;
        }
        let a_bytes = pad(&a);
        let u = BigUint::from_bytes_be(&sha256(&[&a_bytes, &challenge.public]));
        let v = BigUint::from_bytes_be(&self.v);
        let s = ((&a * v.modpow(&u, prime())) % prime()).modpow(&challenge.b, prime());
        let session_key = sha256(&[&pad(&s)]);
        let hash_p = sha256(&[&prime_bytes()]);
        let hash_g = sha256(&[&pad(&generator())]);
        let mixed: Vec<u8> = hash_p.iter().zip(hash_g).map(|(p, g)| p ^ g).collect();
        let salts = (sha256(&[&self.salt1]), sha256(&[&self.salt2]));
        let expected = sha256(&[&mixed, &salts.0, &salts.1, &a_bytes, &challenge.public, &session_key]);
        expected.ct_eq(m1).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use grammers_crypto::two_factor_auth::calculate_2fa;

    #[test]
    fn the_grammers_client_proves_the_right_password_and_no_other() {
        let verifier = Verifier::new("correct horse");
        let challenge = verifier.challenge();
        let proof = |password: &str| {
            let a = crate::world::random::<256>().to_vec();
            let public = challenge.public.to_vec();
            calculate_2fa(&verifier.salt1, &verifier.salt2, &prime_bytes(), &GENERATOR, public, a, password)
        };
        let (m1, a) = proof("correct horse");
        assert!(verifier.accepts(&challenge, &a, &m1));
        assert!(!verifier.accepts(&verifier.challenge(), &a, &m1), "a proof fits its own challenge only");
        let (m1, a) = proof("wrong horse");
        assert!(!verifier.accepts(&challenge, &a, &m1));
    }

    #[test]
    fn a_zero_or_oversized_public_value_is_refused() {
        let verifier = Verifier::new("x");
        let challenge = verifier.challenge();
        for a in [vec![0; 256], prime_bytes(), vec![1; 300], Vec::new()] {
            assert!(!verifier.accepts(&challenge, &a, &[0; 32]));
        }
    }
}

//! The answer to a 2FA password challenge (<https://core.telegram.org/api/srp>), computed away from any connection: the process
//! that hears the password is not the one that is connected.

use grammers_crypto::two_factor_auth::{calculate_2fa, check_p_and_g};
use grammers_tl_types::{Deserializable, enums};
use num_bigint::BigUint;
use tuberry_domain::Secret;
use tuberry_domain::ports::PasswordProof;
use zeroize::Zeroize;

/// The prime that Telegram uses; any other is tested for primality, which takes a second.
const KNOWN_PRIME: [u8; 256] = hex(
    b"c71caeb9c6b1c9048e6c522f70f13f73980d40238e3e21c14934d037563d930f48198a0aa7c14058229493d22530f4dbfa336f6e0ac925139543aed44cce7c37\
      20fd51f69458705ac68cd4fe6b6b13abdc9746512969328454f18faf8c595f642477fe96bb2a941d5bcd1d4ac8cc49880708fa9b378e3c4f3a9060bee67cf9a4\
      a4a695811051907e162753b56b0f6b410dba74d8a84b2a14b3144e0ef1284754fd17ed950d5965b4b9dd46582db1178d169c6bc465b0d6ff9ca3928fef5b9ae4\
      e418fc15e83ebea0f87fa9ff5eed70050ded2849f47bf959d956850ce929851f0d8115f635b105ee2e4e15d04b2454bf6f4fadf034b10403119cd8e3b92fcc5b",
);

/// The longest salt that is believed.
const MAX_SALT: usize = 1024;

/// The parameters cannot be used; the login has to be begun anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unusable password parameters: {0}")]
pub struct UnusableParameters(&'static str);

/// The proof of `password` for `account.Password` in TL bytes. Takes 75–210 ms of CPU: not for an async thread.
pub fn prove(parameters: &[u8], password: &Secret<String>) -> Result<PasswordProof, UnusableParameters> {
    use enums::PasswordKdfAlgo::Sha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow as Algorithm;
    let enums::account::Password::Password(parameters) =
        enums::account::Password::from_bytes(parameters).map_err(|_| UnusableParameters("not readable"))?;
    let (Some(Algorithm(algorithm)), Some(g_b), Some(srp_id)) = (parameters.current_algo, parameters.srp_b, parameters.srp_id)
    else {
        return Err(UnusableParameters("no password is set, or its algorithm is unknown"));
    };
    if algorithm.salt1.len() > MAX_SALT || algorithm.salt2.len() > MAX_SALT {
        return Err(UnusableParameters("the salt is too long"));
    }
    let known = algorithm.p == KNOWN_PRIME && matches!(algorithm.g, 3 | 4 | 5 | 7);
    // `check_p_and_g` panics on any other generator.
    let checkable = algorithm.p.len() == KNOWN_PRIME.len() && (2..=7).contains(&algorithm.g);
    if !(known || checkable && check_p_and_g(&algorithm.p, &algorithm.g)) {
        return Err(UnusableParameters("not a safe prime and its generator"));
    }
    let (p, b) = (BigUint::from_bytes_be(&algorithm.p), BigUint::from_bytes_be(&g_b));
    if g_b.len() > KNOWN_PRIME.len() || b <= BigUint::from(1u8) || b >= p - 1u8 {
        return Err(UnusableParameters("g_b is out of range"));
    }
    // Not the server's `secure_random`: whoever knows `a` can search for the password off line.
    let mut a = [0; 256];
    getrandom::fill(&mut a).map_err(|_| UnusableParameters("no randomness"))?;
    let (m1, g_a) =
        calculate_2fa(&algorithm.salt1, &algorithm.salt2, &algorithm.p, &algorithm.g, g_b, a.to_vec(), password.expose());
    a.zeroize();
    Ok(PasswordProof { srp_id, a: g_a.to_vec(), m1: m1.to_vec() })
}

const fn hex<const DIGITS: usize, const BYTES: usize>(digits: &[u8; DIGITS]) -> [u8; BYTES] {
    const fn value(digit: u8) -> u8 {
        match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => panic!("not a hexadecimal digit"),
        }
    }
    assert!(DIGITS == 2 * BYTES);
    let mut bytes = [0; BYTES];
    let mut at = 0;
    while at < BYTES {
        bytes[at] = value(digits[2 * at]) << 4 | value(digits[2 * at + 1]);
        at += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use grammers_tl_types::{Serializable, types};

    fn parameters(change: impl FnOnce(&mut types::account::Password, &mut Vec<u8>, &mut i32)) -> Vec<u8> {
        let mut password = types::account::Password {
            has_recovery: false,
            has_secure_values: false,
            has_password: true,
            current_algo: None,
            srp_b: Some(vec![9; 256]),
            srp_id: Some(77),
            hint: None,
            email_unconfirmed_pattern: None,
            new_algo: enums::PasswordKdfAlgo::Unknown,
            new_secure_algo: enums::SecurePasswordKdfAlgo::Unknown,
            secure_random: vec![1; 256],
            pending_reset_date: None,
            login_email_pattern: None,
        };
        let (mut p, mut g) = (KNOWN_PRIME.to_vec(), 3);
        change(&mut password, &mut p, &mut g);
        let (salt1, salt2) = (vec![1; 40], vec![2; 16]);
        let algorithm = types::PasswordKdfAlgoSha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow { salt1, salt2, g, p };
        password.current_algo = Some(algorithm.into());
        enums::account::Password::from(password).to_bytes()
    }

    fn proof(parameters: &[u8]) -> Result<PasswordProof, UnusableParameters> {
        prove(parameters, &Secret::new("secret".to_owned()))
    }

    #[test]
    fn a_proof_answers_its_parameters_and_is_never_the_same_twice() {
        let parameters = parameters(|_, _, _| {});
        let (first, second) = (proof(&parameters).unwrap(), proof(&parameters).unwrap());
        assert_eq!((first.srp_id, first.a.len(), first.m1.len()), (77, 256, 32));
        assert_ne!(first.a, second.a);
    }

    #[test]
    fn parameters_that_would_give_the_password_away_are_refused() {
        assert!(proof(&[1, 2, 3]).is_err());
        assert!(proof(&parameters(|password, _, _| password.srp_b = None)).is_err());
        for b in [vec![], vec![0; 256], vec![0, 1], vec![0xff; 256], vec![9; 257], KNOWN_PRIME.to_vec()] {
            assert!(proof(&parameters(|password, _, _| password.srp_b = Some(b.clone()))).is_err(), "{b:?}");
        }
        assert!(proof(&parameters(|_, _, g| *g = 1)).is_err());
        assert!(proof(&parameters(|_, p, _| p[255] -= 1)).is_err());
        assert!(proof(&parameters(|_, p, _| p.push(1))).is_err());
    }
}

//! Server salts (<https://core.telegram.org/mtproto/description#server-salt>): derived from the key and the half hour, so that nothing
//! has to be stored. A salt is good from its half hour to the end of the next one; clients may have asked for later ones.

use super::crypto::sha256;

/// Seconds after which the next salt begins.
const PERIOD: i64 = 1800;
/// How many future salts a client may know.
const FUTURE: i64 = 64;

/// A salt and when it is good, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Salt {
    /// First second.
    pub since: i64,
    /// Last second.
    pub until: i64,
    /// The salt.
    pub value: i64,
}

fn nth(key: u64, period: i64) -> Salt {
    let digest = sha256(&[b"salt", &key.to_le_bytes(), &period.to_le_bytes()]);
    let mut value = [0; 8];
    value.copy_from_slice(&digest[..8]);
    let since = period * PERIOD;
    Salt { since, until: since + 2 * PERIOD, value: i64::from_le_bytes(value) }
}

/// The salt to use now.
pub fn current(key: u64, now: i64) -> i64 {
    nth(key, now / PERIOD).value
}

/// The next salts, the current one first; at most 64.
pub fn future(key: u64, now: i64, count: i32) -> Vec<Salt> {
    (0..i64::from(count).clamp(1, FUTURE)).map(|n| nth(key, now / PERIOD + n)).collect()
}

/// Whether a client's salt is acceptable.
pub fn accepts(key: u64, now: i64, salt: i64) -> bool {
    (-1..FUTURE).any(|n| nth(key, now / PERIOD + n).value == salt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_salt_is_good_for_its_own_and_the_next_half_hour_and_for_its_key_alone() {
        let now = 1_000_000 * PERIOD + 5;
        let salt = current(1, now);
        assert!(accepts(1, now, salt) && accepts(1, now + PERIOD, salt));
        assert!(!accepts(1, now + 2 * PERIOD, salt) && !accepts(2, now, salt) && !accepts(1, now, 0));
        let future = future(1, now, 500);
        assert_eq!((future.len(), future[0].value), (64, salt));
        assert!(accepts(1, now, future[63].value));
    }
}

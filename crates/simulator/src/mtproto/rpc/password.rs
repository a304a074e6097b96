//! The 2FA password: `account.getPassword` and `auth.checkPassword` (<https://core.telegram.org/api/srp>).

use super::{Call, RpcError, auth, error};
use crate::mtproto::srp;
use crate::world::live::GivenChallenge;
use crate::world::random;
use grammers_tl_types::{enums, functions as f, types};

/// Challenges open at once, over all users.
const CHALLENGES: usize = 1000;

/// Whose password this key may ask for.
fn whose(call: &Call) -> Result<i64, RpcError> {
    match call.world.keys.get(&call.key).and_then(|key| key.awaiting_password) {
        Some(user) => Ok(user),
        None => call.signed_in(),
    }
}

/// `account.getPassword`: salts, hint and a fresh challenge.
pub fn get(call: &mut Call, _: f::account::GetPassword) -> Result<enums::account::Password, RpcError> {
    let user = whose(call)?;
    let mut answer = types::account::Password {
        has_recovery: false,
        has_secure_values: false,
        has_password: false,
        current_algo: None,
        srp_b: None,
        srp_id: None,
        hint: None,
        email_unconfirmed_pattern: None,
        new_algo: algorithm(random::<8>().to_vec(), random::<16>().to_vec()),
        new_secure_algo: types::SecurePasswordKdfAlgoPbkdf2Hmacsha512iter100000 { salt: random::<8>().to_vec() }.into(),
        secure_random: random::<256>().to_vec(),
        pending_reset_date: None,
        login_email_pattern: None,
    };
    let challenges = &mut call.world.live.challenges;
    if let Some(password) = call.world.users.get(&user).and_then(|user| user.password.as_ref()) {
        let challenge = password.verifier.challenge();
        let id = i64::from_le_bytes(random());
        answer.has_password = true;
        answer.current_algo = Some(algorithm(password.verifier.salt1.clone(), password.verifier.salt2.clone()));
        answer.srp_b = Some(challenge.public.to_vec());
        answer.srp_id = Some(id);
        answer.hint = password.hint.clone();
        challenges.push_back(GivenChallenge { id, user, challenge });
        if challenges.len() > CHALLENGES {
            challenges.pop_front();
        }
    }
    Ok(answer.into())
}

fn algorithm(salt1: Vec<u8>, salt2: Vec<u8>) -> enums::PasswordKdfAlgo {
    let (g, p) = (srp::GENERATOR, srp::prime_bytes());
    types::PasswordKdfAlgoSha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow { salt1, salt2, g, p }.into()
}

/// `auth.checkPassword`: every challenge is good for one attempt.
pub fn check(call: &mut Call, q: f::auth::CheckPassword) -> Result<enums::auth::Authorization, RpcError> {
    let Some(user) = call.world.keys.get(&call.key).and_then(|key| key.awaiting_password) else {
        call.signed_in()?;
        return error(400, "PASSWORD_HASH_INVALID");
    };
    let enums::InputCheckPasswordSrp::Srp(proof) = q.password else { return error(400, "PASSWORD_HASH_INVALID") };
    let challenges = &mut call.world.live.challenges;
    let at = challenges.iter().position(|given| given.id == proof.srp_id && given.user == user);
    let Some(given) = at.and_then(|at| challenges.remove(at)) else { return error(400, "SRP_ID_INVALID") };
    let password = call.world.users.get(&user).and_then(|user| user.password.as_ref());
    if !password.is_some_and(|password| password.verifier.accepts(&given.challenge, &proof.a, &proof.m1)) {
        return error(400, "PASSWORD_HASH_INVALID");
    }
    call.world.sign_in(call.key, user);
    Ok(auth::authorization(call, user))
}

//! Signing in by QR code and out again, and carrying an authorization to another data centre
//! (<https://core.telegram.org/api/qr-login>).

use super::{Call, RpcError, error};
use crate::mtproto::view;
use crate::world::login_tokens::Found;
use crate::world::random;
use grammers_tl_types::{enums, functions as f, types};

/// Exported authorizations remembered.
const EXPORTED: usize = 1000;

/// `auth.exportLoginToken`: the token for the QR code, or what came of its scan.
pub fn export_login_token(call: &mut Call, _: f::auth::ExportLoginToken) -> Result<enums::auth::LoginToken, RpcError> {
    if let Ok(user) = call.signed_in() {
        return Ok(types::auth::LoginTokenSuccess { authorization: authorization(call, user) }.into());
    }
    if call.world.keys.get(&call.key).is_some_and(|key| key.awaiting_password.is_some()) {
        return error(401, "SESSION_PASSWORD_NEEDED");
    }
    let lifetime = call.world.live.token_lifetime;
    let (token, expires) = call.world.login_tokens.export(call.key, lifetime);
    if let Found::Accepted(user) = call.world.login_tokens.find(&token) {
        return accepted(call, user, token);
    }
    call.world.touch();
    Ok(types::auth::LoginToken { expires: expires.min(i64::from(i32::MAX)) as i32, token }.into())
}

/// `auth.importLoginToken`: the same token, shown to the user's home data centre.
pub fn import_login_token(call: &mut Call, q: f::auth::ImportLoginToken) -> Result<enums::auth::LoginToken, RpcError> {
    match call.world.login_tokens.find(&q.token) {
        Found::Accepted(user) => accepted(call, user, q.token),
        Found::Used => error(400, "AUTH_TOKEN_ALREADY_ACCEPTED"),
        Found::Expired => error(400, "AUTH_TOKEN_EXPIRED"),
        Found::Waiting | Found::Unknown => error(400, "AUTH_TOKEN_INVALID"),
    }
}

/// A phone of `user` scanned the code: go to the home data centre, or give the password, or be signed in.
fn accepted(call: &mut Call, user: i64, token: Vec<u8>) -> Result<enums::auth::LoginToken, RpcError> {
    let Some(account) = call.world.user(user) else { return error(400, "AUTH_TOKEN_INVALID") };
    if account.home_dc != call.dc() {
        return Ok(types::auth::LoginTokenMigrateTo { dc_id: account.home_dc, token }.into());
    }
    let has_password = account.password.is_some();
    call.world.login_tokens.consume(&token);
    if has_password {
        if let Some(key) = call.world.keys.get_mut(&call.key) {
            key.awaiting_password = Some(user);
        }
        call.world.touch();
        return error(401, "SESSION_PASSWORD_NEEDED");
    }
    call.world.sign_in(call.key, user);
    Ok(types::auth::LoginTokenSuccess { authorization: authorization(call, user) }.into())
}

/// `auth.authorization` of a user who is signed in now.
pub fn authorization(call: &Call, user: i64) -> enums::auth::Authorization {
    types::auth::Authorization {
        setup_password_required: false,
        otherwise_relogin_days: None,
        tmp_sessions: None,
        future_auth_token: None,
        user: view::users::user(call.world, user, user),
    }
    .into()
}

/// `auth.exportAuthorization`.
pub fn export_authorization(
    call: &mut Call,
    q: f::auth::ExportAuthorization,
) -> Result<enums::auth::ExportedAuthorization, RpcError> {
    let me = call.signed_in()?;
    if q.dc_id == call.dc() || !call.world.live.dcs.contains_key(&q.dc_id) {
        return error(400, "DC_ID_INVALID");
    }
    let exported = &mut call.world.live.exported;
    let bytes = random::<64>().to_vec();
    let id = i64::from_le_bytes(random()) & i64::MAX;
    exported.push_back((id, bytes.clone(), me));
    if exported.len() > EXPORTED {
        exported.pop_front();
    }
    Ok(types::auth::ExportedAuthorization { id, bytes }.into())
}

/// `auth.importAuthorization`: good once.
pub fn import_authorization(call: &mut Call, q: f::auth::ImportAuthorization) -> Result<enums::auth::Authorization, RpcError> {
    let exported = &mut call.world.live.exported;
    let found = exported.iter().position(|(id, bytes, _)| *id == q.id && *bytes == q.bytes);
    let Some((_, _, user)) = found.and_then(|at| exported.remove(at)) else { return error(400, "AUTH_BYTES_INVALID") };
    call.world.sign_in(call.key, user);
    Ok(authorization(call, user))
}

/// `auth.logOut`.
pub fn log_out(call: &mut Call, _: f::auth::LogOut) -> Result<enums::auth::LoggedOut, RpcError> {
    call.signed_in()?;
    if let Some(key) = call.world.keys.get_mut(&call.key) {
        key.user = None;
    }
    call.world.touch();
    Ok(types::auth::LoggedOut { future_auth_token: None }.into())
}

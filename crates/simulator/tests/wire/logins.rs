//! Signing in through grammers: migration, password, expiry; and what a session may do.

use crate::client::{Connection, Control, EXPORT, message, resolve, simulator};
use grammers_crypto::two_factor_auth::calculate_2fa;
use grammers_tl_types::{enums, functions as f, types};
use serde_json::json;
use std::time::Duration;
use telegram_simulator::{Options, Simulator};

async fn proof(connection: &Connection, password: &str) -> f::auth::CheckPassword {
    let enums::account::Password::Password(p) = connection.call(&f::account::GetPassword {}).await.unwrap();
    assert_eq!(p.hint.as_deref(), Some("animal"));
    let Some(enums::PasswordKdfAlgo::Sha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow(k)) = p.current_algo else {
        panic!("no password")
    };
    let (m1, a) = calculate_2fa(&k.salt1, &k.salt2, &k.p, &k.g, p.srp_b.unwrap(), vec![9; 256], password);
    let srp = types::InputCheckPasswordSrp { srp_id: p.srp_id.unwrap(), a: a.to_vec(), m1: m1.to_vec() };
    f::auth::CheckPassword { password: srp.into() }
}

#[tokio::test]
async fn a_login_goes_home_and_through_the_password() {
    let (simulator, control) = simulator().await;
    let new = json!({ "first_name": "A", "password": "horse", "hint": "animal" });
    let user = control.post("/control/users", new).await["id"].as_i64().unwrap();
    let abroad = Connection::open(control.dc(2).await, 2, control.key(2).await).await;
    let enums::auth::LoginToken::Token(token) = abroad.call(&EXPORT).await.unwrap() else { panic!("no token") };
    assert_eq!(abroad.refusal(&f::updates::GetState {}).await, (401, "AUTH_KEY_UNREGISTERED".into()));
    control.scan(user, &token.token).await;
    let enums::auth::LoginToken::MigrateTo(to) = abroad.call(&EXPORT).await.unwrap() else { panic!("no migration") };
    assert_eq!((to.dc_id, &to.token), (4, &token.token));
    let home = Connection::open(control.dc(4).await, 4, control.key(4).await).await;
    let import = f::auth::ImportLoginToken { token: to.token };
    assert_eq!(home.refusal(&import).await, (401, "SESSION_PASSWORD_NEEDED".into()));
    assert_eq!(home.refusal(&import).await, (400, "AUTH_TOKEN_ALREADY_ACCEPTED".into()));
    assert_eq!(home.refusal(&EXPORT).await, (401, "SESSION_PASSWORD_NEEDED".into()));
    let wrong = proof(&home, "donkey").await;
    assert_eq!(home.refusal(&wrong).await, (400, "PASSWORD_HASH_INVALID".into()));
    assert_eq!(home.refusal(&wrong).await, (400, "SRP_ID_INVALID".into()));
    let enums::auth::Authorization::Authorization(done) = home.call(&proof(&home, "horse").await).await.unwrap() else {
        panic!("not signed in")
    };
    assert_eq!(done.user.id(), user);
    home.call(&f::updates::GetState {}).await.unwrap();
    home.call(&f::auth::LogOut {}).await.unwrap();
    assert_eq!(home.refusal(&f::updates::GetState {}).await, (401, "AUTH_KEY_UNREGISTERED".into()));
    simulator.stop().await;
}

#[tokio::test]
async fn a_token_is_renewed_when_its_lifetime_is_over() {
    let options = Options { token_lifetime: Duration::from_millis(300), ..Options::default() };
    let simulator = Simulator::start(options).await.unwrap();
    let control = Control::new(simulator.http_url());
    let user = control.user("A").await;
    let connection = Connection::open(control.dc(4).await, 4, control.key(4).await).await;
    let export = async || match connection.call(&EXPORT).await.unwrap() {
        enums::auth::LoginToken::Token(token) => token.token,
        other => panic!("{other:?}"),
    };
    let first = export().await;
    assert_eq!(export().await, first);
    tokio::time::sleep(Duration::from_millis(350)).await;
    let url = format!("tg://login?token={}", base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE, &first));
    let late = control.call("POST", &format!("/control/users/{user}/scan"), json!({ "url": url })).await;
    assert_eq!(late, (400, json!({ "error": "AUTH_TOKEN_EXPIRED" })));
    assert_eq!(connection.refusal(&f::auth::ImportLoginToken { token: first.clone() }).await, (400, "AUTH_TOKEN_EXPIRED".into()));
    assert_ne!(export().await, first);
    simulator.stop().await;
}

#[tokio::test]
async fn access_hashes_are_worth_something_to_their_viewer_alone() {
    let (simulator, control) = simulator().await;
    let (a, b) = (control.user("A").await, control.user("B").await);
    control.post("/control/users", json!({ "first_name": "C", "username": "sea" })).await;
    let (as_a, _) = control.signed_in(a).await;
    let (as_b, _) = control.signed_in(b).await;
    let seen_by_a = resolve(&as_a, "sea").await;
    as_a.call(&message(seen_by_a.clone().into(), "mine", 1)).await.unwrap();
    assert_eq!(as_b.refusal(&message(seen_by_a.into(), "not mine", 2)).await, (400, "PEER_ID_INVALID".into()));
    simulator.stop().await;
}

#[tokio::test]
async fn faults_hit_the_calls_they_name_and_a_lost_answer_is_still_carried_out() {
    let (simulator, control) = simulator().await;
    let (a, b) = (control.user("A").await, control.user("B").await);
    control.post("/control/messages", json!({ "from": b, "to": a, "text": "hello" })).await;
    let (connection, _) = control.signed_in(a).await;
    let request = f::messages::GetDialogs {
        exclude_pinned: false,
        folder_id: None,
        offset_date: 0,
        offset_id: 0,
        offset_peer: enums::InputPeer::Empty,
        limit: 10,
        hash: 0,
    };
    let enums::messages::Dialogs::Dialogs(dialogs) = connection.call(&request).await.unwrap() else { panic!("a slice") };
    let hash = dialogs.users.iter().find_map(|user| match user {
        enums::User::User(user) if user.id == b => user.access_hash,
        _ => None,
    });
    let peer = || enums::InputPeer::from(types::InputPeerUser { user_id: b, access_hash: hash.unwrap() });
    let arm = async |fault| control.post("/control/faults", fault).await;
    arm(json!({ "kind": "flood_wait", "user": a, "method": "messages.sendMessage", "seconds": 30, "times": 1 })).await;
    arm(json!({ "kind": "rpc_error", "method": "messages.sendMessage", "code": 403, "message": "CHAT_WRITE_FORBIDDEN" })).await;
    arm(json!({ "kind": "lose_answer", "method": "messages.sendMessage" })).await;
    assert_eq!(connection.refusal(&message(peer(), "x", 1)).await, (420, "FLOOD_WAIT".into()));
    assert_eq!(connection.refusal(&message(peer(), "x", 1)).await, (403, "CHAT_WRITE_FORBIDDEN".into()));
    assert!(connection.call(&message(peer(), "x", 1)).await.is_err());
    let sent = connection.call(&message(peer(), "x", 1)).await.unwrap();
    assert!(matches!(sent, enums::Updates::Updates(_)), "the repeat answers the first message");
    let seen = control.get(&format!("/control/users/{b}/messages?peer={a}")).await;
    assert_eq!(seen.as_array().unwrap().iter().filter(|m| m["text"] == "x").count(), 1);
    arm(json!({ "kind": "revoke", "user": a, "error": "SESSION_REVOKED" })).await;
    assert_eq!(connection.refusal(&f::updates::GetState {}).await, (401, "SESSION_REVOKED".into()));
    simulator.stop().await;
}

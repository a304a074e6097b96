//! Logins by QR code.

use crate::stage::{Stage, quick, token};
use serde_json::json;
use std::time::{Duration, Instant};
use telegram_simulator::Options;
use tuberry_domain::Secret;
use tuberry_domain::ports::{Export, LoginError, Logins, PasswordProof};
use tuberry_telegram::mtproto::srp;

fn wrong(error: &LoginError) -> &str {
    match error {
        LoginError::Rpc(error) => &error.name,
        other => panic!("{other}"),
    }
}

async fn prove(parameters: Vec<u8>, password: &str) -> PasswordProof {
    let password = Secret::new(password.to_owned());
    tokio::task::spawn_blocking(move || srp::prove(&parameters, &password)).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_scanned_code_logs_in_and_tells_who() {
    let stage = Stage::new().await;
    let user =
        stage.user(json!({"first_name": "Анна", "last_name": "Петрова", "username": "anna", "phone": "79990001122"})).await;
    let (session, me, state) = stage.log_in(user).await;
    assert_eq!((me.id.0, me.name.as_str()), (user, "Анна Петрова"));
    assert_eq!((me.username.as_deref(), me.phone.as_deref()), (Some("anna"), Some("79990001122")));
    assert_eq!(session.dc, 2);
    assert!(state.pts > 0);
}

#[tokio::test]
async fn waiting_ends_when_the_phone_scans_and_not_before() {
    let stage = Stage::new().await;
    let user = stage.user(json!({})).await;
    let mut login = stage.logins().open(None).await.unwrap();
    let url = token(login.as_mut()).await;
    let begin = Instant::now();
    login.wait(Duration::from_millis(300)).await;
    assert!(begin.elapsed() >= Duration::from_millis(300));
    let (scan, begin) = (stage.scan(user, &url), Instant::now());
    tokio::join!(scan, login.wait(Duration::from_secs(10)));
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(matches!(login.export().await.unwrap(), Export::Authorised));
    login.close().await;
}

#[tokio::test]
async fn an_expired_code_is_renewed() {
    let options = Options { token_lifetime: Duration::from_secs(1), ..Options::default() };
    let stage = Stage::with(options, quick()).await;
    let user = stage.user(json!({})).await;
    let mut login = stage.logins().open(None).await.unwrap();
    let first = token(login.as_mut()).await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let second = token(login.as_mut()).await;
    assert_ne!(first, second);
    stage.scan(user, &second).await;
    assert!(matches!(login.export().await.unwrap(), Export::Authorised));
    login.close().await;
}

#[tokio::test]
async fn every_step_goes_on_from_the_key_alone_over_two_data_centres_and_a_password() {
    let stage = Stage::new().await;
    let user = stage.user(json!({"dc": 4, "password": "верный пароль", "hint": "как всегда"})).await;
    let logins = stage.logins();

    let mut login = logins.open(None).await.unwrap();
    let url = token(login.as_mut()).await;
    let key = login.key();
    login.close().await;
    stage.scan(user, &url).await;

    let mut login = logins.open(Some(&key)).await.unwrap();
    let Export::PasswordWanted { hint, .. } = login.export().await.unwrap() else { panic!("no password wanted") };
    assert_eq!(hint.as_deref(), Some("как всегда"));
    let key = login.key();
    login.close().await;

    for attempt in ["неверный", "тоже нет"] {
        let mut login = logins.open(Some(&key)).await.unwrap();
        let (parameters, _) = login.password().await.unwrap();
        let error = login.check_password(&prove(parameters, attempt).await).await.unwrap_err();
        assert_eq!(wrong(&error), "PASSWORD_HASH_INVALID");
        login.close().await;
    }

    let mut login = logins.open(Some(&key)).await.unwrap();
    let (parameters, _) = login.password().await.unwrap();
    login.check_password(&prove(parameters, "верный пароль").await).await.unwrap();
    let (me, _) = login.identity().await.unwrap();
    assert_eq!((me.id.0, login.session().unwrap().dc), (user, 4));
    login.close().await;
    assert_eq!(stage.stat("keys_killed").await, 0);
}

#[tokio::test]
async fn a_lost_answer_to_the_password_is_found_out() {
    let stage = Stage::new().await;
    let user = stage.user(json!({"password": "p"})).await;
    let mut login = stage.logins().open(None).await.unwrap();
    let url = token(login.as_mut()).await;
    stage.scan(user, &url).await;
    let Export::PasswordWanted { parameters, .. } = login.export().await.unwrap() else { panic!("no password wanted") };
    let proof = prove(parameters, "p").await;
    stage.fault(json!({"kind": "lose_answer", "method": "auth.checkPassword"})).await;
    login.check_password(&proof).await.unwrap();
    assert_eq!(login.identity().await.unwrap().0.id.0, user);
    login.close().await;
}

#[tokio::test]
async fn a_connection_lost_while_waiting_is_made_again() {
    let stage = Stage::new().await;
    let user = stage.user(json!({})).await;
    let mut login = stage.logins().open(None).await.unwrap();
    let url = token(login.as_mut()).await;
    let drop = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stage.fault(json!({"kind": "drop_connections"})).await;
    };
    let begin = Instant::now();
    tokio::join!(drop, login.wait(Duration::from_secs(10)));
    assert!(begin.elapsed() < Duration::from_secs(5));
    stage.scan(user, &url).await;
    assert!(matches!(login.export().await.unwrap(), Export::Authorised));
    login.close().await;
    assert_eq!(stage.stat("keys_killed").await, 0);
}

#[tokio::test]
async fn a_key_that_telegram_forgot_is_unusable() {
    let stage = Stage::new().await;
    let user = stage.user(json!({})).await;
    let mut login = stage.logins().open(None).await.unwrap();
    let url = token(login.as_mut()).await;
    stage.scan(user, &url).await;
    assert!(matches!(login.export().await.unwrap(), Export::Authorised));
    let key = login.key();
    login.close().await;
    stage.fault(json!({"kind": "forget_keys", "user": user})).await;
    assert!(matches!(stage.logins().open(Some(&key)).await, Err(LoginError::Unusable(_))));
    assert!(format!("{key:?}").len() < 20);
}

#[tokio::test]
async fn logging_out_ends_the_session_and_twice_is_once() {
    let stage = Stage::new().await;
    let user = stage.user(json!({})).await;
    let (session, ..) = stage.log_in(user).await;
    for _ in 0..2 {
        stage.logins().log_out(&session, None).await.unwrap();
    }
    let calls = &stage.get("stats").await["rpc"]["auth.logOut"];
    assert!(calls.as_i64().unwrap() >= 1, "{calls}");
}

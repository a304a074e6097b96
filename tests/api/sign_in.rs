//! `POST /api/auth/login`.

use super::{Answer, App};
use serde_json::json;
use tuberry::credentials::{self, Attempts};
use tuberry::passwords;
use tuberry_domain::Secret;
use tuberry_storage::users::Role;

async fn sign_in(app: &App, email: &str, password: &str) -> Answer {
    app.send("POST", "/api/auth/login", None, json!({ "email": email, "password": password }).to_string()).await
}

#[tokio::test]
async fn a_right_password_gives_a_token_that_works() {
    let app = App::start().await;
    let owner = app.owner().await;
    let argon2 = passwords::hash(&Secret::new("correct horse".into()));
    // What Python's passlib stores: bcrypt 2b.
    let bcrypt = bcrypt::hash("correct horse", 4).unwrap();
    for hash in [argon2, bcrypt] {
        let (_, email) = app.user(Role::Owner, Some(owner.client), &hash).await;
        for written in [email.clone(), format!(" {} ", email.to_uppercase())] {
            let answer = sign_in(&app, &written, "correct horse").await.ok(200).json();
            assert_eq!(answer["token_type"], "bearer");
            assert!(answer["expires_at"].as_str().unwrap().ends_with('Z'));
            let token = answer["access_token"].as_str().unwrap();
            app.send("GET", "/api/projects", Some(token), "").await.ok(200);
        }
        assert_eq!(
            sign_in(&app, &email, "wrong horse").await.problem(401),
            sign_in(&app, "nobody@example.org", "x").await.problem(401)
        );
    }
}

#[tokio::test]
async fn a_hash_of_the_old_system_stays_until_that_does_not_come_back() {
    let app = App::start().await;
    let owner = app.owner().await;
    let bcrypt = bcrypt::hash("correct horse", 4).unwrap();
    let (id, email) = app.user(Role::Owner, Some(owner.client), &bcrypt).await;
    let hash = async || app.value(&format!("select hashed_password from users where id = {id}")).await.unwrap();
    sign_in(&app, &email, "correct horse").await.ok(200);
    assert_eq!(hash().await, bcrypt);
    let (store, attempts) = (&app.database.store, Attempts::default());
    credentials::change(store, &attempts, &email, Secret::new("battery staple".into())).await.unwrap();
    assert!(hash().await.starts_with("$2b$") && hash().await != bcrypt);
    app.execute("update personal_telegram_moving set finished_at = now()").await;
    sign_in(&app, &email, "correct horse").await.problem(401);
    sign_in(&app, &email, "battery staple").await.ok(200);
    assert!(hash().await.starts_with("$argon2id$"));
    sign_in(&app, &email, "battery staple").await.ok(200);
}

#[tokio::test]
async fn an_inactive_user_and_one_without_a_password_do_not_sign_in() {
    let app = App::start().await;
    let hash = passwords::hash(&Secret::new("correct horse".into()));
    let (id, email) = app.user(Role::Admin, None, &hash).await;
    sign_in(&app, &email, "correct horse").await.ok(200);
    app.execute(&format!("update users set is_active = false where id = {id}")).await;
    sign_in(&app, &email, "correct horse").await.problem(401);
    app.execute(&format!("update users set is_active = true, hashed_password = null where id = {id}")).await;
    sign_in(&app, &email, "correct horse").await.problem(401);
    sign_in(&app, &email, "").await.problem(401);
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let app = App::start().await;
    let (_, email) = app.user(Role::Admin, None, &passwords::hash(&Secret::new("correct horse".into()))).await;
    let guesses = (0..10).map(|number| {
        let (app, email) = (&app, &email);
        async move { sign_in(app, email, &format!("guess {number}")).await.problem(401) }
    });
    futures::future::join_all(guesses).await;
    let refused = sign_in(&app, &email, "correct horse").await;
    refused.problem(429);
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
    sign_in(&app, "somebody.else@example.org", "x").await.problem(401);
}

//! Who is it? E-mail address and password, for the REST interface and the portal alike.

mod attempts;

pub use attempts::Attempts;

use crate::passwords;
use std::time::Duration;
use tokio::time::Instant;
use tuberry_domain::{Secret, UserId};
use tuberry_storage::{Error, Store, moving, users};

/// A refusal takes at least this long, so that its time does not tell an unknown address from a wrong password.
const REFUSAL_TAKES: Duration = Duration::from_millis(400);

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Address or password is wrong.
    #[error("wrong address or password")]
    Wrong,
    /// Too many attempts with this address: the time to wait.
    #[error("too many attempts")]
    TooMany(Duration),
    /// The database.
    #[error(transparent)]
    Storage(#[from] Error),
}

/// The user with this address and password. A hash of the old system's kind is replaced by one of ours, once that system does not come back.
pub async fn check(store: &Store, attempts: &Attempts, email: &str, password: Secret<String>) -> Result<UserId, Refused> {
    let started = Instant::now();
    attempts.begin(email).map_err(Refused::TooMany)?;
    let user = users::find_by_email(store.pool(), email).await?;
    let (id, hash) = user.map(|user| (user.id, user.hashed_password)).unzip();
    let hash = hash.flatten();
    let outdated = is_outdated(store, hash.as_ref()).await?;
    let turn = attempts.turn().await;
    let checked = tokio::task::spawn_blocking(move || {
        let right = passwords::verify(&password, hash.as_ref().map(|hash| hash.expose().as_str()));
        let renewed = hash.filter(|_| right && outdated).map(|hash| (hash, Secret::new(passwords::hash(&password))));
        drop(turn);
        (right, renewed)
    });
    match (id, checked.await) {
        (Some(id), Ok((true, renewed))) => {
            attempts.succeeded(email);
            if let Some((old, new)) = renewed {
                users::replace_password(store.pool(), id, &old, &new).await?;
            }
            Ok(id)
        }
        _ => {
            tokio::time::sleep_until(started + REFUSAL_TAKES).await;
            Err(Refused::Wrong)
        }
    }
}

/// Changes a user's password. While the old system may come back, who has a hash that it can read gets another such.
pub async fn change(store: &Store, attempts: &Attempts, email: &str, password: Secret<String>) -> Result<(), Error> {
    let Some(user) = users::find_by_email(store.pool(), email).await? else { return Ok(()) };
    let old = user.hashed_password;
    let readable = old.as_ref().is_some_and(|hash| passwords::is_of_the_old_system(hash.expose()));
    let readable = readable && !is_outdated(store, old.as_ref()).await?;
    let turn = attempts.turn().await;
    let hashed = tokio::task::spawn_blocking(move || {
        let hash = if readable { passwords::hash_for_the_old_system(&password) } else { passwords::hash(&password) };
        drop(turn);
        Secret::new(hash)
    });
    users::set_password(store.pool(), user.id, &hashed.await.expect("hashing does not panic")).await
}

async fn is_outdated(store: &Store, hash: Option<&Secret<String>>) -> Result<bool, Error> {
    let old = hash.is_some_and(|hash| passwords::is_of_the_old_system(hash.expose()));
    Ok(old && moving::is_finished(store.pool()).await?)
}

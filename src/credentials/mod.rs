//! Who is it? E-mail address and password, for the REST interface and the portal alike.

mod attempts;

pub use attempts::Attempts;

use crate::passwords;
use std::time::Duration;
use tokio::time::Instant;
use tuberry_domain::{Secret, UserId};
use tuberry_storage::{Error, Store, users};

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

/// The user with this address and password. A hash of the old system's kind is replaced by one of ours.
pub async fn check(store: &Store, attempts: &Attempts, email: &str, password: Secret<String>) -> Result<UserId, Refused> {
    let started = Instant::now();
    attempts.begin(email).map_err(Refused::TooMany)?;
    let user = users::find_by_email(store.pool(), email).await?;
    let (id, hash) = user.map(|user| (user.id, user.hashed_password)).unzip();
    let turn = attempts.turn().await;
    let checked = tokio::task::spawn_blocking(move || {
        let hash = hash.flatten();
        let right = passwords::verify(&password, hash.as_ref().map(|hash| hash.expose().as_str()));
        let outdated = hash.filter(|hash| right && passwords::is_outdated(hash.expose()));
        let renewed = outdated.map(|hash| (hash, Secret::new(passwords::hash(&password))));
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

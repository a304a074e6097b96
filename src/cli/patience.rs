//! What a process needs to start may come later than the process: it waits, says so once, and lets itself be stopped meanwhile.

use super::asked_to_stop;
use anyhow::{Error, Result, anyhow};
use std::time::Duration;
use tuberry_storage::Store;
use tuberry_storage::pooling::Way;

/// Pauses between attempts, doubled from the first to the longest.
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(5);

/// An attempt that failed.
pub(super) enum Failed {
    /// The same later may succeed.
    Passing(Error),
    /// Somebody has to act.
    Final(Error),
}

/// Tries until it succeeds. `None`: the process was asked to stop first.
pub(super) async fn patiently<T>(what: &'static str, mut attempt: impl AsyncFnMut() -> Result<T, Failed>) -> Result<Option<T>> {
    let trying = async {
        let mut pause = Duration::ZERO;
        loop {
            match attempt().await {
                Ok(found) => {
                    if !pause.is_zero() {
                        tracing::info!(what, "is there now");
                    }
                    return Ok(found);
                }
                Err(Failed::Final(error)) => return Err(error),
                Err(Failed::Passing(error)) if pause.is_zero() => {
                    tracing::warn!(what, error = format!("{error:#}"), "cannot be reached, waiting for it");
                    pause = FIRST;
                }
                Err(Failed::Passing(error)) => {
                    tracing::debug!(what, error = format!("{error:#}"), "still waiting");
                    pause = (pause * 2).min(LONGEST);
                }
            }
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! {
        found = trying => found.map(Some),
        () = asked_to_stop() => {
            tracing::info!(what, "stopped while waiting");
            Ok(None)
        }
    }
}

/// A storage error of an attempt.
pub(super) fn failed(error: tuberry_storage::Error, context: &'static str) -> Failed {
    let passing = error.is_out_of_reach();
    // Its text tells its causes already.
    let error = Error::msg(error.to_string()).context(context);
    if passing { Failed::Passing(error) } else { Failed::Final(error) }
}

/// Waits for the database of a pool, and refuses one that cannot be worked with. `None`: the process was asked to stop first.
pub(super) async fn reached(store: Store) -> Result<Option<Store>> {
    let found = patiently("PostgreSQL", async || {
        way(&store).await?;
        tuberry_storage::migrations::missing(store.pool()).await.map_err(|error| failed(error, "DATABASE_URL"))
    });
    match found.await? {
        None => Ok(None),
        Some(missing) => super::refuse_outdated(missing).map(|()| Some(store)),
    }
}

/// The way to the database, if it will do.
async fn way(store: &Store) -> Result<(), Failed> {
    const LONG: Duration = Duration::from_secs(20);
    let way = tokio::time::timeout(LONG, store.way()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut.into()));
    match way {
        Ok(Way::Direct) => Ok(()),
        Ok(Way::Pooled { keeps_statements: true }) => {
            tracing::info!("DATABASE_URL leads through a transaction pooler");
            Ok(())
        }
        Ok(Way::Pooled { keeps_statements: false }) => Err(Failed::Final(anyhow!(
            "DATABASE_URL leads through a transaction pooler that loses prepared statements: PgBouncer 1.21 or later with \
             max_prepared_statements keeps them; else let it lead straight to PostgreSQL"
        ))),
        Err(error) if error.to_string().contains("startup parameter") => Err(Failed::Final(anyhow!(
            "DATABASE_URL: the pooler refuses our settings, PgBouncer wants ignore_startup_parameters = extra_float_digits,options: {error}"
        ))),
        Err(error) => Err(failed(error, "DATABASE_URL")),
    }
}

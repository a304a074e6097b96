//! Calls that share a statement: those that come while one is on its way go in the next, all of them. A call that finds none on its way goes at
//! once, so that what is done rarely takes no longer; the more there is to do, the fewer statements and commits each call costs.

use crate::{Error, Result};
use sqlx::PgPool;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Calls of one statement at most.
const CALLS: usize = 100;
/// Statements on their way at most.
const STATEMENTS: usize = 4;
/// A statement that takes longer than this, as one that waits for a lock, does not hold the next one up.
const PATIENCE: Duration = Duration::from_millis(20);

/// A call and who waits for its answer.
type Asked<I, O> = (I, oneshot::Sender<Result<O>>);

/// The way to one statement. It ends with the last clone.
pub(crate) struct Together<I, O>(mpsc::UnboundedSender<Asked<I, O>>);

impl<I, O> Clone for Together<I, O> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<I: Clone + Send + 'static, O: Send + 'static> Together<I, O> {
    /// Starts it on the current runtime. `execute` answers its calls in their order. What a statement refuses is tried again call by call, so that
    /// one that cannot be executed fails alone: `execute` may be told twice of what it has done.
    pub(crate) fn start<F>(pool: PgPool, execute: fn(PgPool, Vec<I>) -> F) -> Self
    where
        F: Future<Output = Result<Vec<O>>> + Send + 'static,
    {
        let (sender, mut calls) = mpsc::unbounded_channel::<Asked<I, O>>();
        tokio::spawn(async move {
            let free = Arc::new(Semaphore::new(STATEMENTS));
            while let Some(first) = calls.recv().await {
                let Ok(permit) = free.clone().acquire_owned().await else { return };
                let mut asked = vec![first];
                while asked.len() < CALLS
                    && let Ok(more) = calls.try_recv()
                {
                    asked.push(more);
                }
                let pool = pool.clone();
                let statement = tokio::spawn(async move {
                    answer(pool, execute, asked).await;
                    drop(permit);
                });
                // Whether it ended or not, the next one may go.
                let _ = timeout(PATIENCE, statement).await;
            }
        });
        Self(sender)
    }

    /// Executes one call. It is executed even if nobody waits for it any more.
    pub(crate) async fn call(&self, input: I) -> Result<O> {
        let (answer, answered) = oneshot::channel();
        let gone = || Error::Database(sqlx::Error::WorkerCrashed);
        self.0.send((input, answer)).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

async fn answer<I, O, F>(pool: PgPool, execute: fn(PgPool, Vec<I>) -> F, mut asked: Vec<Asked<I, O>>)
where
    I: Clone + Send + 'static,
    O: Send + 'static,
    F: Future<Output = Result<Vec<O>>> + Send + 'static,
{
    let inputs = asked.iter().map(|(input, _)| input.clone()).collect();
    match execute(pool.clone(), inputs).await {
        Ok(outputs) => {
            for ((_, answer), output) in asked.into_iter().zip(outputs) {
                let _ = answer.send(Ok(output)); // its caller may have gone
            }
        }
        Err(error) if asked.len() == 1 => {
            if let Some((_, answer)) = asked.pop() {
                let _ = answer.send(Err(error));
            }
        }
        Err(error) => {
            tracing::debug!(%error, calls = asked.len(), "what was refused together is tried call by call");
            let mut alone = JoinSet::new();
            for (input, answer) in asked {
                let executed = execute(pool.clone(), vec![input]);
                alone.spawn(async move {
                    let output =
                        executed.await.and_then(|mut outputs| outputs.pop().ok_or(Error::Database(sqlx::Error::RowNotFound)));
                    let _ = answer.send(output);
                });
            }
            alone.join_all().await;
        }
    }
}

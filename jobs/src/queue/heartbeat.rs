//! Leases: this process renews its own on a connection of its own, never behind other work, and takes the jobs of silent processes back.

use super::connection::{Reconnect, connect, in_time};
use super::handle::{Config, Message, Shared};
use super::statements;
use sqlx::PgConnection;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two searches for keys without a head, which only a hand-made change of the table can cause.
const HEALING: Duration = Duration::from_secs(60);

pub(super) struct Heartbeat {
    config: Config,
    shared: Arc<Shared>,
    connection: Option<PgConnection>,
    reap_at: Instant,
    heal_at: Instant,
}

impl Heartbeat {
    pub(super) fn new(config: Config, shared: Arc<Shared>) -> Self {
        let now = Instant::now();
        Self { reap_at: now, heal_at: now + HEALING, config, shared, connection: None }
    }

    /// Beats until the engine has stopped, then takes this process off the list.
    pub(super) async fn run(mut self) {
        let mut reconnect = Reconnect::new("heartbeat");
        loop {
            match self.beat().await {
                Ok(()) => reconnect.succeeded(),
                Err(error) => {
                    self.connection = None;
                    if self.shared.has_stopped() {
                        return;
                    }
                    reconnect.wait(&error).await;
                    continue;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(self.config.renewal) => {}
                () = self.shared.renew_now.notified() => {}
            }
            if self.shared.has_stopped() {
                let _ = self.beat().await; // tells the last tallies
                let kinds = self.kinds();
                if let Some(connection) = &mut self.connection {
                    let left = in_time(Duration::from_secs(2), statements::leave(connection, &self.shared.name, &kinds)).await;
                    if let Err(error) = left {
                        tracing::debug!(%error, "queue could not take this process off the list");
                    }
                }
                return;
            }
        }
    }

    fn kinds(&self) -> Vec<&'static str> {
        self.shared.buffers().iter().map(|buffer| buffer.kind).collect()
    }

    async fn beat(&mut self) -> sqlx::Result<()> {
        let kinds = self.kinds();
        if kinds.is_empty() {
            return Ok(());
        }
        let limit = self.config.lease / 3;
        if self.connection.is_none() {
            self.connection = Some(connect(&self.config.database, "tuberry-queue-beat").await?);
        }
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let asked = Instant::now();
        let tallies = self.shared.tallies.take();
        let to_end = match in_time(limit, statements::renew(connection, &self.shared.name, &kinds, &tallies)).await {
            Ok(to_end) => to_end,
            Err(error) => {
                self.shared.tallies.put_back(tallies);
                return Err(error);
            }
        };
        for id in to_end {
            self.shared.interrupt(&id);
        }
        Shared::count(&self.shared.statistics.statements, 1);
        // Counted from before the statement: the database's time is not earlier.
        self.shared.renewed.send_replace(asked);
        self.shared.tell(Message::Renewed(kinds));
        let now = Instant::now();
        if now >= self.reap_at {
            self.reap_at = now + self.config.reaping;
            let (reaped, wake_ups) = in_time(limit, statements::reap(connection, self.config.lease)).await?;
            Shared::count(&self.shared.statistics.statements, 1);
            if reaped > 0 {
                tracing::warn!(reaped, "jobs of a lost process are back in line");
                Shared::count(&self.shared.statistics.reaped, reaped);
                self.shared.tell(Message::Found(wake_ups));
            }
        }
        if now >= self.heal_at {
            self.heal_at = now + HEALING;
            let (healed, wake_ups) = in_time(limit, statements::heal(connection)).await?;
            Shared::count(&self.shared.statistics.statements, 1);
            if healed > 0 {
                tracing::error!(healed, "ordering keys had no head: somebody changed the queue's table by hand");
                self.shared.tell(Message::Found(wake_ups));
            }
        }
        Ok(())
    }
}

/// Lets go of the running jobs when the lease was not renewed for too long, whatever the heartbeat is waiting for.
pub(super) async fn watch_silence(shared: Arc<Shared>) {
    let mut renewed = shared.renewed.subscribe();
    loop {
        let limit = *renewed.borrow_and_update() + shared.silence_limit();
        let silent = tokio::select! {
            () = tokio::time::sleep_until(limit.into()) => true,
            changed = renewed.changed() => match changed {
                Ok(()) => false,
                Err(_) => return,
            },
        };
        if silent {
            if shared.has_running_jobs() {
                tracing::error!("queue could not renew its lease: running jobs are interrupted");
            }
            shared.declare_lost();
            if renewed.changed().await.is_err() {
                return;
            }
        }
    }
}

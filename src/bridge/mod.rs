//! The bridge to the rest of Tuberry over Redis: takes messages that it wants sent (`consumer`, `lists`), and tells it of status changes (`events`).
//! Redis may be gone, frozen or slow: nothing but the bridge notices. `docs/bridge.md` says what stands in Redis, `docs/adr/bridge.md` why.

mod consumer;
mod dead_letter;
mod events;
mod lists;

pub use consumer::Bridge;
pub use events::Publisher;
pub use lists::{DEAD, TASKS};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client};
use std::time::Duration;
use tuberry_jobs::Backoff;

/// How long Redis may take for one answer, and for a connection.
const PATIENCE: Duration = Duration::from_secs(3);
/// Pauses after failures.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(200), cap: Duration::from_secs(5) };

/// Redis does not do what is asked of it.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("redis: {0}")]
    Redis(#[from] redis::RedisError),
    #[error("redis does not answer")]
    Silent,
}

/// A new connection, tried out.
async fn connect(client: &Client) -> Result<MultiplexedConnection, LinkError> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
    let connecting = async {
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        redis::cmd("PING").query_async::<()>(&mut connection).await?;
        Ok(connection)
    };
    tokio::time::timeout(PATIENCE, connecting).await.map_err(|_| LinkError::Silent)?
}

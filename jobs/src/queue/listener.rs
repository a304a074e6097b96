//! One LISTEN per process. After every break the engine looks for what was missed.

use super::connection::Reconnect;
use super::handle::{Message, Shared};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use std::sync::Arc;
use std::time::Duration;
use tuberry_storage::WAKE_UP_CHANNEL;

/// Hands wake-ups to the engine, for ever.
pub(super) async fn listen(database: PgConnectOptions, shared: Arc<Shared>) {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy_with(database.application_name("tuberry-queue-listen"));
    let mut reconnect = Reconnect::new("listener");
    loop {
        let ended = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(WAKE_UP_CHANNEL).await?;
            reconnect.succeeded();
            shared.tell(Message::LookAgain);
            while let Some(notification) = listener.try_recv().await? {
                shared.tell(Message::WakeUp(notification.payload().to_owned()));
            }
            Err::<(), sqlx::Error>(sqlx::Error::PoolClosed)
        }
        .await;
        if let Err(error) = ended {
            reconnect.wait(&error).await;
        }
    }
}

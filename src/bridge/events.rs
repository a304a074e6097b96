//! Status changes on the channel `tuberry:personal:events`: best effort, behind a bounded queue. Nothing waits for Redis here but the publisher.

use super::{BACKOFF, LinkError, PATIENCE, connect};
use chrono::{DateTime, SecondsFormat, Utc};
use metrics::counter;
use redis::Client;
use redis::aio::MultiplexedConnection;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tuberry_domain::ports::{StatusEvent, StatusEvents};

const CHANNEL: &str = "tuberry:personal:events";
/// How many events wait for Redis at most.
const QUEUE: usize = 1000;

type Noted = (StatusEvent, DateTime<Utc>);

#[derive(Serialize)]
struct Published<'a> {
    #[serde(flatten)]
    event: &'a StatusEvent,
    at: String,
}

/// Where events are noted.
#[derive(Debug)]
pub struct Publisher(mpsc::Sender<Noted>);

impl Publisher {
    /// Starts the task that publishes, on the current runtime; it ends with the publisher.
    pub fn start(client: Client) -> Self {
        let (sender, inbox) = mpsc::channel(QUEUE);
        tokio::spawn(publish_all(client, inbox));
        Self(sender)
    }
}

impl StatusEvents for Publisher {
    fn note(&self, event: StatusEvent) {
        if self.0.try_send((event, Utc::now())).is_err() {
            counter!("tuberry_bridge_events_dropped_total").increment(1);
        }
    }
}

async fn publish_all(client: Client, mut inbox: mpsc::Receiver<Noted>) {
    let (mut connection, mut failures) = (None, 0);
    while let Some(noted) = inbox.recv().await {
        match publish(&client, &mut connection, &noted).await {
            Ok(()) => {
                failures = 0;
                counter!("tuberry_bridge_events_published_total").increment(1);
            }
            Err(error) => {
                failures += 1;
                tracing::debug!(%error, failures, "event not published");
                counter!("tuberry_bridge_events_dropped_total").increment(1);
                connection = None;
                sleep(BACKOFF.ceiling(failures)).await;
            }
        }
    }
}

async fn publish(client: &Client, connection: &mut Option<MultiplexedConnection>, noted: &Noted) -> Result<(), LinkError> {
    let (event, at) = noted;
    let event = Published { event, at: at.to_rfc3339_opts(SecondsFormat::Millis, true) };
    let event = serde_json::to_string(&event).expect("an event is plain data");
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(connect(client).await?),
    };
    let mut publish = redis::cmd("PUBLISH");
    publish.arg(CHANNEL).arg(event);
    timeout(PATIENCE, publish.query_async::<()>(connection)).await.map_err(|_| LinkError::Silent)??;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use tuberry_domain::{AccountId, DialogId, MessageId};

    #[test]
    fn an_event_reads_as_documented() {
        let event = StatusEvent::Message {
            account_id: AccountId(1),
            dialog_id: DialogId(2),
            message_db_id: MessageId(3),
            status: "failed",
            error: Some("нет".into()),
        };
        let published = serde_json::to_value(Published { event: &event, at: "2026-01-01T00:00:00.000Z".into() }).unwrap();
        let expected: Value = json!({ "type": "message.status", "account_id": 1, "dialog_id": 2, "message_db_id": 3,
            "status": "failed", "error": "нет", "at": "2026-01-01T00:00:00.000Z" });
        assert_eq!(published, expected);
    }
}

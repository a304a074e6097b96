//! What the bridge's scenarios share: dialogs of connected accounts, and messages as the rest of Tuberry stores and queues them.

use crate::support::{Person, RedisServer, Stack, wait_until};
use serde_json::{Value, json};
use std::time::Duration;

pub const TASKS: &str = "tuberry:personal:tasks";
pub const DEAD: &str = "tuberry:personal:dead";
/// Tuberry's other list, which is none of ours.
pub const OTHERS: &str = "tuberry:tasks";
pub const PATIENCE: Duration = Duration::from_secs(90);

/// A customer who has written to an account.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    pub customer: Person,
    pub employee: Person,
    pub account: i64,
    pub dialog: i32,
    pub project: i64,
}

impl Talk {
    /// Somebody writes to the account, and the dialog is there.
    pub async fn begin(stack: &Stack, (employee, account): (Person, i64), name: &str) -> Self {
        let customer = stack.person(name).await;
        stack.write(customer, employee, "здравствуйте").await;
        let dialog = wait_until(PATIENCE, "a dialog", async || {
            sqlx::query_scalar("select id from dialogs where personal_account_id = $1 and external_reference = $2")
                .bind(i32::try_from(account).expect("a small id"))
                .bind(customer.0.to_string())
                .fetch_optional(stack.store().pool())
                .await
                .ok()?
        })
        .await;
        Self { customer, employee, account, dialog, project: stack.tenant.project }
    }

    /// Stores a message as the portal does before it queues its id.
    pub async fn message(&self, stack: &Stack, body: &str) -> i32 {
        sqlx::query_scalar(
            "insert into messages (created_at, dialog_id, direction, body, status, retries, is_auto_reply, is_client_message)
             values (now() at time zone 'utc', $1, 'personal_telegram_out', $2, 'pending', 0, false, false) returning id",
        )
        .bind(self.dialog)
        .bind(body)
        .fetch_one(stack.store().pool())
        .await
        .expect("a message")
    }

    pub fn payload(&self, message: i32, text: &str) -> Value {
        json!({ "account_id": self.account, "dialog_id": self.dialog, "message_db_id": message, "text": text, "project_id": self.project })
    }

    /// Stores a message and queues it.
    pub async fn send(&self, stack: &Stack, redis: &RedisServer, text: &str) -> i32 {
        let message = self.message(stack, text).await;
        push(redis, &element(&self.payload(message, text))).await;
        message
    }

    /// Waits until exactly these texts of the account have reached the customer, in this order.
    pub async fn received(&self, stack: &Stack, texts: &[impl AsRef<str>]) {
        let mut last = Vec::new();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while tokio::time::Instant::now() < deadline {
            last = stack.received(self.customer, self.employee).await;
            if last.len() >= texts.len() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(last, texts.iter().map(|text| text.as_ref().to_owned()).collect::<Vec<_>>());
    }
}

pub fn element(payload: &Value) -> String {
    json!({ "type": "personal.send_message", "payload": payload }).to_string()
}

pub async fn push(redis: &RedisServer, element: &str) {
    redis.ask::<u64>(&["RPUSH", TASKS, element]).await;
}

/// Status and error of a message.
pub async fn status(stack: &Stack, message: i32) -> (String, Option<String>) {
    sqlx::query_as(
        "select m.status::text, o.error from messages m left join personal_telegram_messages o on o.message_id = m.id where m.id = $1",
    )
    .bind(message)
    .fetch_one(stack.store().pool())
    .await
    .expect("a message")
}

pub async fn becomes(stack: &Stack, message: i32, wanted: &str) {
    wait_until(PATIENCE, &format!("message {message} {wanted}"), async || {
        (status(stack, message).await.0 == wanted).then_some(())
    })
    .await;
}

/// The processing lists that hold something.
pub async fn in_hand(redis: &RedisServer) -> Vec<String> {
    redis.ask(&["KEYS", "tuberry:personal:processing:*"]).await
}

/// Waits until no element waits or is being worked on, and sees that the other list was left alone.
pub async fn all_taken(redis: &RedisServer, others: &[&str]) {
    wait_until(PATIENCE, "empty lists", async || {
        let waiting: u64 = redis.ask(&["LLEN", TASKS]).await;
        (waiting == 0 && in_hand(redis).await.is_empty()).then_some(())
    })
    .await;
    let found: Vec<String> = redis.ask(&["LRANGE", OTHERS, "0", "-1"]).await;
    assert_eq!(found, others, "Avito's tasks are none of ours");
}

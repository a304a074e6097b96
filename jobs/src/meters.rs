//! Messages in and out, for Prometheus: how many, and how long each was under way between its commit here and its arrival.

use std::time::Duration;

/// The way of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the customer to the topic.
    In,
    /// From the topic to the customer.
    Out,
}

impl Direction {
    fn label(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// So many messages were stored, each with its job.
pub fn accepted(direction: Direction, messages: usize) {
    count(direction, "accepted", messages);
}

/// A message has arrived, so long after it was stored.
pub(crate) fn arrived(direction: Direction, age: Duration) {
    count(direction, "delivered", 1);
    metrics::histogram!("tuberry_message_seconds", "direction" => direction.label()).record(age);
}

/// So many messages will not arrive.
pub(crate) fn failed(direction: Direction, messages: usize) {
    count(direction, "failed", messages);
}

fn count(direction: Direction, stage: &'static str, messages: usize) {
    metrics::counter!("tuberry_messages_total", "direction" => direction.label(), "stage" => stage).increment(messages as u64);
}

/// Shows every series at zero.
pub fn begin() {
    for direction in [Direction::In, Direction::Out] {
        for stage in ["accepted", "delivered", "failed"] {
            count(direction, stage, 0);
        }
    }
}

/// Describes what this module shows.
pub fn describe() {
    use metrics::{Unit, describe_counter, describe_histogram};
    describe_counter!("tuberry_messages_total", "Messages of customers (in) and operators (out): accepted, delivered, failed");
    describe_histogram!("tuberry_message_seconds", Unit::Seconds, "Time of a message from being stored to its arrival");
    describe_counter!("tuberry_retention_rows_total", "Rows that were deleted because they had served");
}

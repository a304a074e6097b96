//! Redis, where an existing Tuberry's tasks wait.

use super::{Finding, Patient, in_time};
use crate::bridge::{DEAD, TASKS};
use std::io;
use tuberry_domain::Secret;

const CHECK: &str = "redis";

pub(super) async fn look(patient: &Patient) -> Vec<Finding> {
    let Some(url) = &patient.redis_url else {
        return vec![Finding::fine(CHECK, "not configured, not needed")];
    };
    let finding = match in_time(ask(url)).await {
        Ok((waiting, 0)) => Finding::fine(CHECK, format!("answers; {waiting} tasks wait")),
        Ok((waiting, dead)) => Finding::note(
            CHECK,
            format!("answers; {waiting} tasks wait, {dead} could not be read"),
            format!("look at them: LRANGE {DEAD} 0 -1"),
        ),
        Err(error) => Finding::wrong(CHECK, format!("REDIS_URL: {error}"), "start Redis, or correct the variable"),
    };
    vec![finding]
}

/// How many tasks wait, and how many are dead.
async fn ask(url: &Secret<String>) -> io::Result<(u64, u64)> {
    let client = redis::Client::open(url.expose().as_str()).map_err(io::Error::other)?;
    // Our own patience counts.
    let patient = redis::AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    let connected = client.get_multiplexed_async_connection_with_config(&patient).await;
    let mut connection = connected.map_err(io::Error::other)?;
    let lengths = redis::pipe().llen(TASKS).llen(DEAD).query_async(&mut connection).await;
    lengths.map_err(io::Error::other)
}

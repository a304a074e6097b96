//! Counters since start, as `GET /control/stats` shows them.

use serde::Serialize;
use std::collections::BTreeMap;

/// Names counted at most, so that nonsense from outside cannot grow the maps.
const LIMIT: usize = 1000;

/// What was counted since the start of the process.
#[derive(Default, Serialize)]
pub struct Stats {
    /// The highest number of connections that were open at once with the same authorization key.
    pub max_connections_per_key: usize,
    /// Connections on which an authorization key was presented, known or not.
    pub connects: u64,
    /// Keys killed because two connections used them at the same time.
    pub keys_killed: u64,
    /// MTProto calls by method, `messages.sendMessage`.
    pub rpc: BTreeMap<String, u64>,
    /// Bot API calls by method, `sendMessage`.
    pub bot: BTreeMap<String, u64>,
}

impl Stats {
    /// Counts an MTProto call.
    pub fn count_rpc(&mut self, method: &str) {
        count(&mut self.rpc, method);
    }

    /// Counts a Bot API call (`sendMessage`, without a prefix).
    pub fn count_bot(&mut self, method: &str) {
        count(&mut self.bot, method);
    }
}

fn count(map: &mut BTreeMap<String, u64>, method: &str) {
    if let Some(n) = map.get_mut(method) {
        *n += 1;
    } else if map.len() < LIMIT {
        map.insert(method.chars().take(80).collect(), 1);
    }
}

//! The last Bot API calls as they came in, so that a test can look for repeats: the Bot API itself has no key against them.

use std::{
    collections::VecDeque,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

/// Calls kept.
const CAPACITY: usize = 100_000;
/// Bytes of parameters kept, over all calls.
const CAPACITY_BYTES: usize = 64 << 20;

/// One finished call.
pub struct Entry {
    /// The bot that called.
    pub bot: i64,
    /// As Telegram spells it: `sendMessage`.
    pub method: &'static str,
    /// Parameters as a JSON object.
    pub params: Box<str>,
    /// HTTP status of the answer.
    pub status: u16,
    /// Whether the answer was lost on purpose: the call was carried out, and the client cannot know.
    pub lost: bool,
    /// Unix milliseconds at which it was answered.
    pub at: u64,
}

/// A bounded list of calls, oldest first.
#[derive(Default)]
pub struct RequestLog {
    entries: VecDeque<Entry>,
    bytes: usize,
    added: u64,
}

impl RequestLog {
    /// Adds a call, dated now.
    pub fn add(&mut self, bot: i64, method: &'static str, params: String, status: u16, lost: bool) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        self.bytes += params.len();
        self.added += 1;
        self.entries.push_back(Entry { bot, method, params: params.into_boxed_str(), status, lost, at });
        while self.entries.len() > CAPACITY || self.bytes > CAPACITY_BYTES {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.params.len();
        }
    }

    /// How many calls came in so far, those that gave way included.
    pub fn added(&self) -> u64 {
        self.added
    }

    /// What came in after the first `seen` calls, oldest first, as far as it is kept.
    pub fn after(&self, seen: u64) -> impl Iterator<Item = &Entry> {
        let given_way = self.added - self.entries.len() as u64;
        self.entries.iter().skip(seen.saturating_sub(given_way) as usize)
    }

    /// The calls of one method, or of all: `[{"bot","method","params","status","lost","at"}]`, oldest first.
    pub fn to_json(&self, method: Option<&str>) -> Value {
        let wanted = |entry: &&Entry| method.is_none_or(|method| entry.method.eq_ignore_ascii_case(method));
        let entry = |entry: &Entry| {
            let params: Value = serde_json::from_str(&entry.params).unwrap_or_default();
            json!({
                "bot": entry.bot, "method": entry.method, "params": params,
                "status": entry.status, "lost": entry.lost, "at": entry.at,
            })
        };
        self.entries.iter().filter(wanted).map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_calls_give_way_by_number_and_by_size() {
        let mut log = RequestLog::default();
        for n in 0..CAPACITY + 5 {
            log.add(1, "sendMessage", format!("{{\"n\":{n}}}"), 200, false);
        }
        assert_eq!(log.entries.len(), CAPACITY);
        assert_eq!(&*log.entries[0].params, "{\"n\":5}");
        let newest: Vec<&str> = log.after(CAPACITY as u64 + 3).map(|entry| &*entry.params).collect();
        assert_eq!(newest, ["{\"n\":100003}", "{\"n\":100004}"]);
        assert_eq!((log.after(0).count(), log.after(log.added()).count()), (CAPACITY, 0));
        log.add(1, "getMe", " ".repeat(CAPACITY_BYTES), 200, false);
        assert_eq!(log.entries.len(), 1);
        assert_eq!(log.to_json(Some("sendMessage")), json!([]));
    }
}

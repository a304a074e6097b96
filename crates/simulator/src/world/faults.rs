//! Armed faults: what shall go wrong, for whom and how often. Both protocol halves ask here before they answer.
//! A method of the Bot API is written `bot.sendMessage`; the method `*` means any.

use serde::Deserialize;
use std::time::{Duration, Instant};

/// The most faults that may be armed at once.
const LIMIT: usize = 1000;

/// An error that an MTProto call shall answer.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct RpcFault {
    /// Only calls of this user; none: of anybody, signed in or not.
    pub user: Option<i64>,
    /// `messages.sendMessage`, or `*`.
    pub method: String,
    /// Telegram's code: 400, 401, 406, 420, 500…
    pub code: i32,
    /// Telegram's name, `PEER_FLOOD`.
    pub message: String,
    /// How many calls fail.
    #[serde(default = "once")]
    pub times: u32,
}

/// An error that a Bot API call shall answer.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct BotFault {
    /// `bot.sendMessage` (or without `bot.`), or `*`.
    pub method: String,
    /// HTTP status and `error_code`.
    pub status: u16,
    /// `description` of the answer.
    #[serde(default)]
    pub description: String,
    /// `parameters.retry_after`, in seconds.
    pub retry_after: Option<u64>,
    /// `parameters.migrate_to_chat_id`.
    pub migrate_to_chat_id: Option<i64>,
    /// How many calls fail.
    #[serde(default = "once")]
    pub times: u32,
}

/// Calls that are executed, but whose answer is lost with the connection.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct LostAnswer {
    /// `messages.sendMessage`, `bot.sendMessage`, or `*`.
    pub method: String,
    /// How many answers are lost.
    #[serde(default = "once")]
    pub times: u32,
}

/// `times` when a control call leaves it out.
pub fn once() -> u32 {
    1
}

/// All armed faults.
#[derive(Default)]
pub struct Faults {
    rpc: Vec<RpcFault>,
    bot: Vec<BotFault>,
    lost: Vec<LostAnswer>,
    latency: Duration,
    refuse_until: Option<Instant>,
}

impl Faults {
    /// Arms an MTProto error. False: too many faults are armed.
    pub fn add_rpc_error(&mut self, fault: RpcFault) -> bool {
        push(&mut self.rpc, fault)
    }

    /// Arms a flood wait (420 `FLOOD_WAIT_x`).
    pub fn add_flood_wait(&mut self, user: Option<i64>, method: String, seconds: u32, times: u32) -> bool {
        self.add_rpc_error(RpcFault { user, method, code: 420, message: format!("FLOOD_WAIT_{seconds}"), times })
    }

    /// Arms a Bot API error.
    pub fn add_bot_error(&mut self, mut fault: BotFault) -> bool {
        if !fault.method.starts_with("bot.") && fault.method != "*" {
            fault.method.insert_str(0, "bot.");
        }
        push(&mut self.bot, fault)
    }

    /// Arms the loss of answers.
    pub fn add_lost_answer(&mut self, fault: LostAnswer) -> bool {
        push(&mut self.lost, fault)
    }

    /// Every answer of both protocols is late by this much.
    pub fn set_latency(&mut self, latency: Duration) {
        self.latency = latency;
    }

    /// New MTProto connections are closed at once, for this long.
    pub fn refuse_connections(&mut self, period: Duration) {
        self.refuse_until = Instant::now().checked_add(period);
    }

    /// Whether a new MTProto connection must be refused now.
    pub fn refuses_connections(&self) -> bool {
        self.refuse_until.is_some_and(|until| Instant::now() < until)
    }

    /// The armed error (flood waits included) of this MTProto call, counted down. `user` is none before the login.
    pub fn take_rpc_error(&mut self, user: Option<i64>, method: &str) -> Option<(i32, String)> {
        let at = self.rpc.iter().position(|f| matches(&f.method, method) && (f.user.is_none() || f.user == user))?;
        let error = (self.rpc[at].code, self.rpc[at].message.clone());
        count_down(&mut self.rpc, at, |f| &mut f.times);
        Some(error)
    }

    /// The armed error of this Bot API call (`bot.sendMessage`), counted down.
    pub fn take_bot_error(&mut self, method: &str) -> Option<BotFault> {
        let at = self.bot.iter().position(|f| matches(&f.method, method))?;
        let fault = self.bot[at].clone();
        count_down(&mut self.bot, at, |f| &mut f.times);
        Some(fault)
    }

    /// Whether the answer to this call (executed already) shall be lost, counted down.
    pub fn take_lost_answer(&mut self, method: &str) -> bool {
        let Some(at) = self.lost.iter().position(|f| matches(&f.method, method)) else { return false };
        count_down(&mut self.lost, at, |f| &mut f.times);
        true
    }

    /// How late every answer is; zero without the fault.
    pub fn latency(&self) -> Duration {
        self.latency
    }

    /// Forgets every fault.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

fn matches(pattern: &str, method: &str) -> bool {
    pattern == "*" || pattern == method
}

fn push<T>(list: &mut Vec<T>, fault: T) -> bool {
    let room = list.len() < LIMIT;
    if room {
        list.push(fault);
    }
    room
}

fn count_down<T>(list: &mut Vec<T>, at: usize, times: impl Fn(&mut T) -> &mut u32) {
    let left = times(&mut list[at]);
    *left = left.saturating_sub(1);
    if *left == 0 {
        list.remove(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_wait_hits_its_user_and_method_as_often_as_told() {
        let mut faults = Faults::default();
        assert!(faults.add_flood_wait(Some(7), "messages.sendMessage".into(), 30, 2));
        assert_eq!(faults.take_rpc_error(Some(8), "messages.sendMessage"), None);
        assert_eq!(faults.take_rpc_error(Some(7), "users.getUsers"), None);
        for _ in 0..2 {
            let error = faults.take_rpc_error(Some(7), "messages.sendMessage");
            assert_eq!(error, Some((420, "FLOOD_WAIT_30".into())));
        }
        assert_eq!(faults.take_rpc_error(Some(7), "messages.sendMessage"), None);
    }

    #[test]
    fn a_bot_error_may_be_named_with_or_without_its_prefix() {
        let mut faults = Faults::default();
        let fault: BotFault =
            serde_json::from_str(r#"{"method":"sendMessage","status":429,"description":"slow down","retry_after":3}"#).unwrap();
        assert!(faults.add_bot_error(fault));
        assert!(faults.take_bot_error("bot.getMe").is_none());
        assert_eq!(faults.take_bot_error("bot.sendMessage").and_then(|f| f.retry_after), Some(3));
        assert!(faults.take_bot_error("bot.sendMessage").is_none());
    }

    #[test]
    fn clearing_forgets_lost_answers_latency_and_refusal() {
        let mut faults = Faults::default();
        faults.add_lost_answer(LostAnswer { method: "*".into(), times: 9 });
        faults.set_latency(Duration::from_secs(1));
        faults.refuse_connections(Duration::from_secs(60));
        assert!(faults.take_lost_answer("bot.sendMessage") && faults.refuses_connections());
        faults.clear();
        assert!(!faults.take_lost_answer("bot.sendMessage") && !faults.refuses_connections());
        assert_eq!(faults.latency(), Duration::ZERO);
    }
}

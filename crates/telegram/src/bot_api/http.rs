//! One call of the Bot API: POST with JSON, bounded in time and size. The token stands in the URL, so neither URLs nor the errors
//! that carry them may be shown.

use super::answer::Envelope;
use super::error::{class, refusal};
use crate::calls::{Call, Interface};
use reqwest::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;
use tracing::Instrument;
use tuberry_domain::ports::{BotError, BotToken};
use zeroize::Zeroizing;

/// Telegram's own address.
const TELEGRAM: &str = "https://api.telegram.org";
/// Until the connection is made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Until the answer is there, besides the wait that the call itself asks for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// An idle connection is not used after this long: the other side may just be closing it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer that is read.
const MAX_ANSWER: usize = 16 << 20;

/// The Bot API at one address. Cheap to clone: clones share their connections.
#[derive(Clone, Debug)]
pub struct HttpBotApi {
    base: String,
    http: reqwest::Client,
}

impl HttpBotApi {
    /// The Bot API at `base` (without a slash at the end), or, where that is empty, Telegram's own.
    ///
    /// # Errors
    /// When the platform has no TLS roots or the like.
    pub fn new(base: &str) -> Result<Self, reqwest::Error> {
        let base = match base.trim().trim_end_matches('/') {
            "" => TELEGRAM,
            base => base,
        };
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { base: base.to_owned(), http })
    }

    /// A call whose answer says no more than that it was done.
    pub(super) async fn order(&self, bot: &BotToken, method: &'static str, parameters: &Value) -> Result<(), BotError> {
        self.call::<Value>(bot, method, parameters).await.map(drop)
    }

    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        bot: &BotToken,
        method: &'static str,
        parameters: &Value,
    ) -> Result<T, BotError> {
        self.call_for(bot, method, parameters, Duration::ZERO).await
    }

    /// A call that Telegram may answer only after `wait`.
    pub(super) async fn call_for<T: DeserializeOwned>(
        &self,
        bot: &BotToken,
        method: &'static str,
        parameters: &Value,
        wait: Duration,
    ) -> Result<T, BotError> {
        let call = Call::begin(Interface::Bots, method);
        let answer = self.exchange(bot, method, parameters, wait).instrument(call.span()).await;
        call.end(answer.as_ref().map_or_else(class, |_| "ok"));
        answer
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        bot: &BotToken,
        method: &'static str,
        parameters: &Value,
        wait: Duration,
    ) -> Result<T, BotError> {
        let token = bot.expose();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_' | b'-')) {
            return Err(BotError::NoAccess("this is no bot's token".into()));
        }
        let url = Zeroizing::new(format!("{}/bot{token}/{method}", self.base));
        let request = self.http.post(url.as_str()).timeout(wait + ANSWER_TIMEOUT).json(parameters);
        let mut response = request.send().await.map_err(unsent_or_lost)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unsent_or_lost)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(BotError::Lost("the answer is too long".into()));
            }
            body.extend_from_slice(&chunk);
        }
        read(status, &body)
    }
}

fn read<T: DeserializeOwned>(status: StatusCode, body: &[u8]) -> Result<T, BotError> {
    match serde_json::from_slice::<Envelope<T>>(body) {
        Ok(Envelope { ok: true, result: Some(result), .. }) => Ok(result),
        Ok(Envelope { ok: false, error_code, description, parameters, .. }) => {
            Err(refusal(error_code.unwrap_or(status.as_u16()), &description, &parameters))
        }
        // Not from the Bot API itself, but from what stands before it.
        _ if status == StatusCode::TOO_MANY_REQUESTS => Err(BotError::Unavailable(format!("status {}", status.as_u16()))),
        _ if status.is_server_error() => Err(BotError::Lost(format!("status {}", status.as_u16()))),
        _ => Err(BotError::Lost(format!("an unreadable answer with status {}", status.as_u16()))),
    }
}

/// Whether the request can have been executed.
fn unsent_or_lost(error: reqwest::Error) -> BotError {
    let unsent = error.is_connect() || error.is_builder();
    // The URL holds the token.
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    if unsent { BotError::Unavailable(text) } else { BotError::Lost(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_result_an_error_or_lost() {
        assert_eq!(read::<i64>(StatusCode::OK, br#"{"ok":true,"result":5}"#), Ok(5));
        let error = br#"{"ok":false,"error_code":400,"description":"Bad Request: TOPIC_CLOSED"}"#;
        assert_eq!(read::<i64>(StatusCode::BAD_REQUEST, error), Err(BotError::TopicClosed));
        assert!(matches!(read::<i64>(StatusCode::BAD_GATEWAY, b"<html>"), Err(BotError::Lost(_))));
        assert!(matches!(read::<i64>(StatusCode::OK, br#"{"ok":true,"resu"#), Err(BotError::Lost(_))));
    }
}

//! What every call of Telegram leaves behind, MTProto's and the Bot API's alike: a count by method and result, its duration, and a span. Never what
//! it said.

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use std::time::Instant;
use tracing::Span;
use tracing::field::Empty;

/// Which of Telegram's two interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interface {
    Mtproto,
    Bots,
}

/// A call that is being made. Whoever does not wait for its end any more has interrupted it.
pub(crate) struct Call {
    interface: Interface,
    method: &'static str,
    began: Instant,
    span: Span,
    result: &'static str,
}

impl Call {
    /// The call begins now.
    pub(crate) fn begin(interface: Interface, method: &'static str) -> Self {
        let cause = Span::current();
        // Below the log's usual level: without a collector such a span costs nothing. A ping or a probe that nobody asked for is no trace.
        let span = match interface {
            _ if cause.is_disabled() => Span::none(),
            Interface::Mtproto => tracing::debug_span!(
                parent: &cause, "telegram", otel.name = format_args!("telegram.{method}"), otel.kind = "client", otel.status_code = Empty, result = Empty
            ),
            Interface::Bots => tracing::debug_span!(
                parent: &cause, "bot", otel.name = format_args!("bot.{method}"), otel.kind = "client", otel.status_code = Empty, result = Empty
            ),
        };
        Self { interface, method, began: Instant::now(), span, result: "interrupted" }
    }

    /// The call's span.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// The call ended so: `ok`, or a class of errors.
    pub(crate) fn end(mut self, result: &'static str) {
        self.result = result;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let (calls, seconds) = match self.interface {
            Interface::Mtproto => ("tuberry_telegram_calls_total", "tuberry_telegram_call_seconds"),
            Interface::Bots => ("tuberry_bot_calls_total", "tuberry_bot_call_seconds"),
        };
        counter!(calls, "method" => self.method, "result" => self.result).increment(1);
        histogram!(seconds, "method" => self.method).record(self.began.elapsed());
        self.span.record("result", self.result);
        if self.result != "ok" {
            self.span.record("otel.status_code", "ERROR");
        }
    }
}

/// Describes what this crate shows to Prometheus.
pub fn describe_metrics() {
    describe_counter!("tuberry_telegram_calls_total", "Calls over accounts' connections, by method and result");
    describe_histogram!("tuberry_telegram_call_seconds", Unit::Seconds, "Time of a call over an account's connection");
    describe_counter!("tuberry_bot_calls_total", "Calls of the Bot API, by method and result");
    describe_histogram!("tuberry_bot_call_seconds", Unit::Seconds, "Time of a call of the Bot API; getUpdates waits on purpose");
}

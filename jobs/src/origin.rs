//! Where a chain of work began: the request, update or tick, carried through every job that it causes.
//!
//! A request's id and its trace context (W3C Trace Context, `traceparent`) live in a task-local, are written into the metadata of the jobs that
//! are enqueued meanwhile, and are there again when those run. With OpenTelemetry the trace is the exported one: [`Origin::begin`] ties both.

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use std::cell::Cell;
use std::fmt::Write;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

tokio::task_local! {
    static CURRENT: Origin;
}

thread_local! {
    static ROOT: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// The id of the trace that begins at this moment, where it has one already: for whoever makes the ids of exported spans.
pub fn root_trace() -> Option<TraceId> {
    ROOT.take()
}

/// The beginning of a chain of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The id that the request was answered with (`x-request-id`), or one made up for what no request caused.
    pub request_id: String,
    /// `00-<trace id>-<span id>-<flags>`, the span being the one that caused what happens now.
    pub traceparent: String,
    /// The span that caused this, as somebody else named it.
    parent: Option<String>,
}

impl Origin {
    /// An origin for a request. An absent or malformed `traceparent` begins a new trace.
    pub fn of_request(request_id: &str, traceparent: Option<&str>) -> Self {
        let parent = traceparent.filter(|text| is_traceparent(text)).map(str::to_owned);
        let (trace, flags) = match &parent {
            Some(parent) => (parent[..35].to_owned(), parent[53..].to_owned()),
            None => (format!("00-{}", random_hex(16)), "01".to_owned()),
        };
        let traceparent = format!("{trace}-{}-{flags}", random_hex(8));
        Self { request_id: request_id.to_owned(), traceparent, parent }
    }

    /// An origin for what no request caused.
    pub fn fresh() -> Self {
        Self::of_request(&ulid::Ulid::new().to_string(), None)
    }

    /// Makes `span` the one that causes what follows, in the trace of this origin, under `name` at the collector. `span` must not have been entered
    /// and has an empty field `otel.name`. Without a collector nothing happens.
    #[must_use]
    pub fn begin(mut self, span: &Span, name: &str) -> Self {
        let parent = self.parent.as_deref().and_then(span_context);
        let trace = parent.as_ref().map_or_else(|| TraceId::from_hex(self.trace_id()).ok(), |_| None);
        let parent =
            parent.map_or_else(Default::default, |parent| opentelemetry::Context::new().with_remote_span_context(parent));
        // Fails where nothing is exported.
        if span.set_parent(parent).is_ok() {
            span.record("otel.name", name);
            ROOT.set(trace);
            let context = span.context();
            ROOT.set(None);
            let own = context.span().span_context().clone();
            if own.is_valid() {
                self.traceparent = format!("00-{}-{}-{:02x}", own.trace_id(), own.span_id(), own.trace_flags().to_u8());
            }
        }
        self
    }

    /// The origin of what runs now, if it has one.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// Runs `work` with this origin.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// The trace's id, 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        self.traceparent.get(3..35).unwrap_or_default()
    }

    /// As the job's row keeps it: names and values in turn.
    pub(crate) fn to_metadata(&self) -> Vec<String> {
        ["request_id", &self.request_id, "traceparent", &self.traceparent].map(str::to_owned).into()
    }

    /// Reads [`Origin::to_metadata`]; what runs now is a span of its own.
    pub(crate) fn from_metadata(metadata: &[String]) -> Option<Self> {
        let value = |name: &str| metadata.chunks_exact(2).find(|pair| pair[0] == name).map(|pair| pair[1].as_str());
        Some(Self::of_request(value("request_id")?, value("traceparent")))
    }
}

fn span_context(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-').skip(1);
    let (trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?);
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    Some(SpanContext::new(TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?, flags, true, TraceState::NONE))
}

fn is_traceparent(text: &str) -> bool {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == [2, 32, 16, 2]
        && parts.iter().all(|part| digits(part))
        && parts[0] == "00"
        && parts[1..3].iter().all(|part| part.bytes().any(|byte| byte != b'0'))
}

fn random_hex(bytes: usize) -> String {
    let mut random = [0; 16];
    getrandom::fill(&mut random[..bytes]).expect("the system has randomness");
    random[..bytes].iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_goes_on_through_jobs_in_spans_of_their_own() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let request = Origin::of_request("request-1", Some(parent));
        assert_eq!(request.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        let job = Origin::from_metadata(&request.to_metadata()).unwrap();
        assert_eq!((job.request_id.as_str(), job.trace_id()), ("request-1", request.trace_id()));
        assert!(job.traceparent != request.traceparent && is_traceparent(&job.traceparent));
        let unsampled = Origin::of_request("request-2", Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"));
        assert!(unsampled.traceparent.ends_with("-00"), "who wants no samples gets none");
    }

    #[test]
    fn a_malformed_parent_begins_a_new_trace() {
        for parent in [
            "",
            "00-xyz",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(is_traceparent(&Origin::of_request("r", Some(parent)).traceparent), "{parent}");
        }
        assert_eq!(Origin::from_metadata(&[]), None);
    }
}

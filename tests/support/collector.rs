//! A collector of traces: OTLP over HTTP with protobuf, as any of OpenTelemetry's would take it.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;

/// A span as it arrived.
#[derive(Clone, Debug)]
pub struct Span {
    /// `service.name` of its process.
    pub service: String,
    pub name: String,
    pub trace: String,
    pub id: String,
    /// Empty: it has none.
    pub parent: String,
    /// Everything else, as text.
    pub shown: String,
}

/// The collector; it is away once this is dropped.
pub struct Collector {
    pub url: String,
    spans: Arc<Mutex<Vec<Span>>>,
    server: JoinHandle<()>,
}

impl Collector {
    pub async fn start() -> Self {
        let spans = Arc::new(Mutex::new(Vec::new()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let app = axum::Router::new().route("/v1/traces", post(take)).with_state(spans.clone());
        let server = tokio::spawn(async move { axum::serve(listener, app).await.expect("a server") });
        Self { url, spans, server }
    }

    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().expect("a lock that nobody broke").clone()
    }

    /// The first of `name` with an ancestor of each of these names in turn, the nearest first.
    pub fn chain(&self, names: &[&str]) -> Option<Vec<Span>> {
        let spans = self.spans();
        let (first, ancestors) = names.split_first()?;
        spans.iter().filter(|span| span.name == *first).find_map(|span| {
            let mut chain = vec![span.clone()];
            for name in ancestors {
                let last = chain.last()?;
                let parent =
                    spans.iter().find(|span| span.id == last.parent && span.trace == last.trace && span.name == *name)?;
                chain.push(parent.clone());
            }
            Some(chain)
        })
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(State(spans): State<Arc<Mutex<Vec<Span>>>>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
    let mut spans = spans.lock().expect("a lock that nobody broke");
    for resource in request.resource_spans {
        let service = format!("{:?}", resource.resource);
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(Span {
                service: service.clone(),
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                shown: format!("{span:?}"),
                name: span.name,
            });
        }
    }
    StatusCode::OK
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

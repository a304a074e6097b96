//! What happens around every request: an id (`x-request-id`) and a trace context (`traceparent`), taken over from a proxy or made here, which the
//! jobs that it causes carry on; a time limit; and one line in the log, which holds the route's pattern and never the path itself (webhook paths hold secrets).

use super::Problem;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::time::{Duration, Instant};
use tracing::Instrument;
use tracing::field::Empty;
use tuberry_jobs::Origin;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longer than the longest call, which waits 15 s for a password's outcome.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The layer around all routes.
pub(super) async fn observe(request: Request, next: Next) -> Response {
    let id = request.headers().get(&REQUEST_ID).filter(|id| is_sane(id)).cloned().unwrap_or_else(fresh_id);
    let route = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let parent = request.headers().get("traceparent").and_then(|parent| parent.to_str().ok());
    let origin = Origin::of_request(id.to_str().unwrap_or_default(), parent);
    let span = tracing::info_span!(
        parent: None, "http", %method, route, request_id = origin.request_id, trace_id = origin.trace_id(), otel.name = Empty, otel.status_code = Empty
    );
    let origin = origin.begin(&span, &format!("{method} {route}"));
    let around = span.clone();
    let handled = async {
        let started = Instant::now();
        let mut response = match tokio::time::timeout(TIME_LIMIT, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Problem::unavailable("Сервер не успел ответить: попробуйте ещё раз").into_response(),
        };
        response.headers_mut().insert(REQUEST_ID, id);
        let (status, milliseconds) = (response.status().as_u16(), started.elapsed().as_millis());
        count(&method, &route, status, started.elapsed());
        if response.status().is_server_error() {
            span.record("otel.status_code", "ERROR");
            tracing::warn!(status, milliseconds, "answered");
        } else {
            tracing::debug!(status, milliseconds, "answered");
        }
        response
    };
    origin.scope(handled).instrument(around).await
}

/// One request, for Prometheus. Methods and routes are of a bounded number: anybody may make up others.
fn count(method: &Method, route: &str, status: u16, took: Duration) {
    let method = match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    };
    let route = route.to_owned();
    metrics::counter!("tuberry_http_requests_total", "method" => method, "route" => route.clone(), "status" => status.to_string())
        .increment(1);
    metrics::histogram!("tuberry_http_request_seconds", "route" => route).record(took);
}

fn is_sane(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    (8..=64).contains(&bytes.len()) && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn fresh_id() -> HeaderValue {
    HeaderValue::from_str(&ulid::Ulid::new().to_string()).expect("a ULID is plain letters and digits")
}

//! Traces to a collector (OTLP over HTTP, protobuf), where `OTEL_EXPORTER_OTLP_ENDPOINT` names one. Spans gather in a bounded queue and go out in
//! batches from a thread of their own; a collector that is away costs spans and holds nothing up.

use crate::config::{self, Refused};
use async_trait::async_trait;
use opentelemetry::trace::{SpanId, TraceId, TracerProvider as _};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracerProvider};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::registry::LookupSpan;
use tuberry_jobs::origin::root_trace;

/// How long one batch may take.
const EXPORT_LIMIT: Duration = Duration::from_secs(5);
/// How long the end of the process waits for the last one.
const FAREWELL: Duration = Duration::from_secs(2);

/// The exporter.
#[derive(Debug)]
pub(super) struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    pub(super) fn start(settings: config::Traces, runtime: &Handle) -> Result<Self, Refused> {
        let refused = |reason: String| Refused { name: config::Traces::ENDPOINT, reason };
        let http = reqwest::Client::builder().timeout(EXPORT_LIMIT).redirect(reqwest::redirect::Policy::none()).build();
        let client = Client {
            http: http.map_err(|error| refused(error.to_string()))?,
            runtime: runtime.clone(),
            failing: Arc::new(AtomicBool::new(false)),
        };
        // Address, headers and limits are read from the environment as OpenTelemetry names them.
        let exporter = SpanExporter::builder().with_http().with_http_client(client).build();
        let exporter = exporter.map_err(|error| refused(error.to_string()))?;
        let resource = Resource::builder().with_service_name(settings.service).build();
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).with_id_generator(Ids::default());
        Ok(Self { provider: provider.build() })
    }

    /// Our own spans, and no events: those are the log's.
    pub(super) fn layer<S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync>(&self) -> impl Layer<S> + use<S> {
        // Asked every time: the registry remembers what filters said last, also of events that nobody sent (sqlx asks whether it would be
        // heard), and takes that for the answer where a filter always agrees.
        let ours = dynamic_filter_fn(|metadata, _| is_ours(metadata))
            .with_callsite_filter(|metadata| if is_ours(metadata) { Interest::sometimes() } else { Interest::never() });
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("tuberry"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(ours.with_max_level_hint(LevelFilter::DEBUG))
    }

    pub(super) fn finish(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FAREWELL) {
            tracing::debug!(%error, "the last spans were not sent");
        }
    }
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("tuberry")
}

/// A trace that begins has the id that the log and the jobs know already.
#[derive(Debug, Default)]
struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        root_trace().unwrap_or_else(|| self.0.new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        self.0.new_span_id()
    }
}

/// The exporter's way out: its thread has no runtime, so the service's sends.
#[derive(Clone, Debug)]
struct Client {
    http: reqwest::Client,
    runtime: Handle,
    failing: Arc<AtomicBool>,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let sent = self.runtime.spawn(async move {
            let response = http.execute(request.try_into()?).await?;
            let answer = Response::builder().status(response.status());
            Ok::<_, HttpError>(answer.body(response.bytes().await?)?)
        });
        let answer = sent.await.map_err(HttpError::from).and_then(|answer| answer);
        let failed = answer.as_ref().map_or(true, |answer| !answer.status().is_success());
        if self.failing.swap(failed, Ordering::Relaxed) != failed {
            if failed {
                tracing::warn!("the collector takes no traces: spans are lost");
            } else {
                tracing::info!("the collector takes traces again");
            }
        }
        answer
    }
}

//! What the service tells of itself: logs here, traces and metrics in their own files.
//!
//! Logs are events on stderr, for people on a terminal and as JSON lines otherwise. `RUST_LOG` filters.

pub mod metrics;
mod traces;

use crate::config::{self, Refused};
use std::io::IsTerminal;
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Our own events; of the libraries only what somebody should look at.
fn default_filter() -> EnvFilter {
    EnvFilter::new(format!("info,{},{}", tuberry_telegram::LOG_FILTER, tuberry_jobs::queue::LOG_FILTER))
}

/// Logs and traces of this process, until [`Telemetry::finish`].
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<traces::Traces>,
}

/// Starts logging for this process, and, where `service` names it and the environment a collector, traces. They are sent on `runtime`.
///
/// # Errors
/// When the collector's address cannot be used.
pub fn start(service: Option<&str>, runtime: &Handle) -> Result<Telemetry, Refused> {
    // Empty means the default here, too; what cannot be read is refused with the other settings.
    let own = config::process_environment("RUST_LOG").filter(|filter| !filter.trim().is_empty());
    let filter = own.and_then(|filter| EnvFilter::try_new(filter).ok()).unwrap_or_else(default_filter);
    let settings = match service {
        Some(service) => config::Traces::read(&config::process_environment, service)?,
        None => None,
    };
    let traces = settings.map(|settings| traces::Traces::start(settings, runtime)).transpose()?;
    let registry = tracing_subscriber::registry();
    let started = match &traces {
        None => registry.with(filter).with(events()).try_init(),
        Some(traces) => registry.with(events().with_filter(filter)).with(traces.layer()).try_init(),
    };
    // A second start in one process: the first one's logs go on.
    drop(started);
    Ok(Telemetry { traces })
}

fn events<S: Subscriber + for<'a> LookupSpan<'a>>() -> Box<dyn Layer<S> + Send + Sync> {
    let events = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        events.with_target(false).boxed()
    } else {
        events.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
    }
}

impl Telemetry {
    /// Sends what has gathered, for two seconds at most.
    pub fn finish(self) {
        if let Some(traces) = self.traces {
            traces.finish();
        }
    }
}

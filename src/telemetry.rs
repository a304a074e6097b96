//! Logs: events on stderr, for people on a terminal and as JSON lines otherwise. `RUST_LOG` filters.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Our own events; of the libraries only what somebody should look at.
fn default_filter() -> EnvFilter {
    EnvFilter::new(format!("info,{},{}", tuberry_telegram::LOG_FILTER, tuberry_jobs::queue::LOG_FILTER))
}

/// Starts logging for this process. A second call does nothing.
pub fn start() {
    // Empty means the default here, too; what cannot be read is refused with the other settings.
    let own = std::env::var("RUST_LOG").ok().filter(|filter| !filter.trim().is_empty());
    let filter = own.and_then(|filter| EnvFilter::try_new(filter).ok()).unwrap_or_else(default_filter);
    let events = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_span_events(FmtSpan::NONE);
    let started = if std::io::stderr().is_terminal() {
        events.with_target(false).try_init()
    } else {
        events.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    };
    drop(started);
}

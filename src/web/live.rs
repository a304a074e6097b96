//! Server-sent events that tell a page to look again. A stream asks the database for a fingerprint of what the page shows, now and then, and sends
//! `event: change` with it: once when the page begins to listen, so that nothing is missed in between, and whenever it differs.

use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream;
use std::convert::Infallible;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// A stream ends after this long; browsers come again by themselves, and are asked anew who they are.
const LONGEST: Duration = Duration::from_secs(600);

/// A comment this often keeps proxies from closing the connection, and tells us when the browser is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The process stops: it need not wait for pages.
static STOPPING: LazyLock<CancellationToken> = LazyLock::new(CancellationToken::new);

/// Ends every stream of this process, and every later one after its first event.
pub fn end_streams() {
    STOPPING.cancel();
}

struct Watch<A> {
    ask: A,
    every: Duration,
    ends: Instant,
    seen: Option<String>,
    first: bool,
}

/// A stream of `change` events, whose data is the fingerprint: one line. `None`: it cannot be told now, nothing is sent.
pub(super) fn stream<F>(every: Duration, fingerprint: impl Fn() -> F + Send + 'static) -> impl IntoResponse
where
    F: Future<Output = Option<String>> + Send + 'static,
{
    let watch = Watch { ask: fingerprint, every, ends: Instant::now() + LONGEST, seen: None, first: true };
    let events = stream::unfold(watch, next);
    ([("x-accel-buffering", "no")], Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

async fn next<F, A>(mut watch: Watch<A>) -> Option<(Result<Event, Infallible>, Watch<A>)>
where
    F: Future<Output = Option<String>>,
    A: Fn() -> F,
{
    loop {
        if !std::mem::take(&mut watch.first) {
            tokio::select! {
                () = sleep(watch.every) => {}
                () = STOPPING.cancelled() => return None,
            }
        }
        if Instant::now() >= watch.ends {
            return None;
        }
        let now = (watch.ask)().await;
        if now.is_some() && now != watch.seen {
            let event = Event::default().event("change").data(now.as_deref().unwrap_or_default());
            watch.seen = now;
            return Some((Ok(event), watch));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::Response;
    use futures::StreamExt;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// What a stream says in its ten minutes, in simulated time.
    async fn all(answers: &'static [Option<&'static str>]) -> String {
        static TIMES: AtomicUsize = AtomicUsize::new(0);
        TIMES.store(0, Ordering::Relaxed);
        let response: Response = stream(Duration::from_secs(1), move || async move {
            let time = TIMES.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1);
            answers[time].map(str::to_owned)
        })
        .into_response();
        let chunks: Vec<_> = response.into_body().into_data_stream().collect().await;
        chunks.into_iter().map(|chunk| String::from_utf8(chunk.unwrap().to_vec()).unwrap()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn it_tells_what_is_and_what_changes_and_ends() {
        let said = all(&[Some("a"), Some("a"), None, Some("a"), Some("b")]).await;
        let events: Vec<&str> = said.split("\n\n").filter(|event| !event.starts_with(':') && !event.is_empty()).collect();
        assert_eq!(events, ["event: change\ndata: a", "event: change\ndata: b"], "{said}");
        assert!(said.matches(":\n\n").count() >= 30, "keep-alive comments: {said}");
    }
}

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
    lasting(LONGEST, every, fingerprint)
}

fn lasting<F>(time: Duration, every: Duration, fingerprint: impl Fn() -> F + Send + 'static) -> impl IntoResponse
where
    F: Future<Output = Option<String>> + Send + 'static,
{
    let watch = Watch { ask: fingerprint, every, ends: Instant::now() + time, seen: None, first: true };
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

    const ANSWERS: [Option<&str>; 5] = [Some("a"), Some("a"), None, Some("a"), Some("b")];

    #[tokio::test]
    async fn it_tells_what_is_and_what_changes_and_ends() {
        static TIMES: AtomicUsize = AtomicUsize::new(0);
        let fingerprint = || async {
            let time = TIMES.fetch_add(1, Ordering::Relaxed).min(ANSWERS.len() - 1);
            ANSWERS[time].map(str::to_owned)
        };
        let response: Response = lasting(Duration::from_millis(500), Duration::from_millis(5), fingerprint).into_response();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let chunks: Vec<_> = response.into_body().into_data_stream().collect().await;
        let said: String = chunks.into_iter().map(|chunk| String::from_utf8(chunk.unwrap().to_vec()).unwrap()).collect();
        assert_eq!(said, "event: change\ndata: a\n\nevent: change\ndata: b\n\n");
        assert!(TIMES.load(Ordering::Relaxed) > ANSWERS.len(), "it goes on asking after the last change");
    }
}

//! How a process learns that it should end.

use std::sync::OnceLock;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Set by the first signal. Kept, because a process that begins looks several times, and no signal in between may be lost.
static ASKED: OnceLock<CancellationToken> = OnceLock::new();

/// Completes at SIGTERM or Ctrl-C, also at one that came since the first call.
pub async fn asked_to_stop() {
    let asked = ASKED.get_or_init(|| {
        let asked = CancellationToken::new();
        let terminate = signal(SignalKind::terminate());
        if let Err(error) = &terminate {
            tracing::warn!(%error, "SIGTERM cannot be caught");
        }
        tokio::spawn(listen(terminate.ok(), asked.clone()));
        asked
    });
    asked.cancelled().await;
}

async fn listen(mut terminate: Option<Signal>, asked: CancellationToken) {
    let terminated = async {
        match &mut terminate {
            Some(terminate) => drop(terminate.recv().await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    asked.cancel();
}

//! Calls over an account's connection.

use super::shared::{LinkStatus, Shared};
use grammers_tl_types::{RemoteCall, functions};
use std::sync::Arc;
use tokio::time::Instant;
use tuberry_domain::ports::{CallError, OutgoingText, Sent};

/// A cheap handle on an account's connection. Every call asks the gate first, and fails with [`CallError::NotConnected`] while the
/// connection is down: whoever wants the call made repeats it.
#[derive(Clone)]
pub struct Calls(pub(crate) Arc<Shared>);

impl Calls {
    /// `messages.sendMessage`. `RANDOM_ID_DUPLICATE` is success: Telegram has the message already.
    pub async fn send_text(&self, message: &OutgoingText) -> Result<Sent, CallError> {
        super::send::send_text(self, message).await
    }

    /// `updates.getState`: whether the session still exists. Only when the intake has come as far as the answer tells, it is a proof of life.
    pub async fn probe(&self) -> Result<(), CallError> {
        let state = self.invoke(&functions::updates::GetState {}).await?;
        self.0.probe_answered(&state);
        Ok(())
    }

    /// How the connection is now.
    pub fn status(&self) -> LinkStatus {
        *self.0.status().borrow()
    }

    /// When a probe last passed through the intake: proof that the account, and not only its connection, is alive.
    pub fn last_proof(&self) -> Option<Instant> {
        self.0.proof()
    }

    pub(crate) async fn invoke<R: RemoteCall>(&self, request: &R) -> Result<R::Return, CallError> {
        let caller = self.0.caller().ok_or(CallError::NotConnected)?;
        let answer = caller.call(request, self.0.network.timings.call).await;
        if let Err(error) = &answer {
            self.0.report(error);
        }
        Ok(answer?)
    }
}

impl std::fmt::Debug for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Calls").field(&self.status()).finish()
    }
}

//! What an account's connection, its calls and its intake know of each other.

use super::errors::WireError;
use super::intake::Probed;
use super::network::Network;
use super::session::Gate;
use super::wire::Caller;
use chrono::Utc;
use grammers_tl_types::enums;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tuberry_domain::account::{AccountProblem, AccountTrouble};
use tuberry_domain::reaction::RpcError;

/// Until the next attempt with credentials of ours that Telegram refused: only another configuration helps.
const APPLICATION_REFUSED: Duration = Duration::from_secs(60);

/// How the account's connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkStatus {
    /// Not connected (yet, or again); being worked on.
    Connecting,
    /// Connected: Telegram answered a ping.
    Up,
    /// Out of service for good.
    Ended(AccountProblem),
    /// Closed by us.
    Closed,
}

/// What the supervisor, the calls and the intake share.
pub(crate) struct Shared {
    pub(crate) network: Arc<Network>,
    pub(crate) gate: Gate,
    status: watch::Sender<LinkStatus>,
    caller: Mutex<Option<Caller>>,
    /// The problem that a call met first.
    problem: Mutex<Option<AccountProblem>>,
    /// What keeps the account from full service for now.
    trouble: watch::Sender<Option<AccountTrouble>>,
    /// What Telegram last said of its state. A ping says nothing: a revoked session's are answered too.
    probed: Mutex<Option<Probed>>,
    /// Wakes the intake: a probe was answered.
    pub(crate) listen: Notify,
    /// When the intake was last proven to have everything.
    proof: Mutex<Option<Instant>>,
    /// The connection pushes nothing any more: another one is wanted.
    pub(crate) deaf: AtomicBool,
    /// Wakes the supervisor: a problem was met, a call was not answered in time, or the connection is deaf.
    pub(crate) attention: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(network: Arc<Network>, gate: Gate) -> Self {
        let status = watch::Sender::new(LinkStatus::Connecting);
        Self {
            network,
            gate,
            status,
            caller: Mutex::new(None),
            problem: Mutex::new(None),
            trouble: watch::Sender::new(None),
            probed: Mutex::new(None),
            listen: Notify::new(),
            proof: Mutex::new(None),
            deaf: AtomicBool::new(false),
            attention: Notify::new(),
        }
    }

    pub(crate) fn status(&self) -> watch::Receiver<LinkStatus> {
        self.status.subscribe()
    }

    /// The connection, where it is up and may be used now.
    pub(crate) fn caller(&self) -> Option<Caller> {
        let caller = lock(&self.caller).clone();
        caller.filter(|_| (self.gate)())
    }

    /// Tells the supervisor what a failed call means for the connection.
    pub(crate) fn report(&self, error: &WireError) {
        if let Some(problem) = error.account_problem() {
            lock(&self.problem).get_or_insert(problem);
        } else if !matches!(error, WireError::Lost(_)) {
            return;
        }
        self.attention.notify_one();
    }

    /// Telegram answered a probe: the intake has to come that far.
    pub(crate) fn probe_answered(&self, state: &enums::updates::State) {
        let enums::updates::State::State(state) = state;
        *lock(&self.probed) = Some(Probed { pts: state.pts, at: Instant::now() });
        self.listen.notify_one();
    }

    /// A difference was fetched to its end. It says the same as a probe, unless one knows of later things.
    pub(crate) fn caught_up(&self, pts: i32) {
        let mut probed = lock(&self.probed);
        if probed.is_none_or(|probed| probed.pts <= pts) {
            *probed = Some(Probed { pts, at: Instant::now() });
        }
    }

    pub(crate) fn probed(&self) -> Option<Probed> {
        *lock(&self.probed)
    }

    /// The intake has everything that happened before the last probe.
    pub(crate) fn prove(&self) {
        *lock(&self.proof) = Some(Instant::now());
        self.trouble.send_if_modified(|trouble| trouble.take().is_some());
    }

    pub(crate) fn proof(&self) -> Option<Instant> {
        *lock(&self.proof)
    }

    /// The connection pushes nothing: wants another one.
    pub(crate) fn replace_deaf(&self) {
        self.deaf.store(true, Ordering::Relaxed);
        self.attention.notify_one();
    }

    pub(crate) fn problem(&self) -> Option<AccountProblem> {
        *lock(&self.problem)
    }

    pub(crate) fn trouble(&self) -> watch::Receiver<Option<AccountTrouble>> {
        self.trouble.subscribe()
    }

    /// Telegram refuses to connect or to tell what is new. How long to wait, where it says so.
    pub(crate) fn refused(&self, error: &RpcError) -> Option<Duration> {
        let trouble = error.trouble(Utc::now())?;
        if trouble == AccountTrouble::Application && *self.trouble.borrow() != Some(trouble) {
            tracing::error!(%error, "Telegram refuses our application: check PERSONAL_TELEGRAM_API_ID and PERSONAL_TELEGRAM_API_HASH");
        }
        self.met(trouble);
        (trouble == AccountTrouble::Application).then_some(APPLICATION_REFUSED).or_else(|| error.flood_wait())
    }

    /// The account is not in full service for now.
    pub(crate) fn met(&self, trouble: AccountTrouble) {
        self.trouble.send_if_modified(|known| known.replace(trouble) != Some(trouble));
    }

    pub(crate) fn publish(&self, status: LinkStatus, caller: Option<Caller>) {
        *lock(&self.caller) = caller;
        self.status.send_replace(status);
    }
}

//! One account's connection, supervised: connects when it may, watches the connection with pings, and reconnects with a growing
//! pause, until it is closed or Telegram says that the account is out of service.

use super::backoff::Backoff;
use super::errors::WireError;
use super::session::HeldSession;
use super::shared::{LinkStatus, Shared};
use super::wire::Wire;
use grammers_session::updates::UpdatesLike;
use grammers_tl_types::functions;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval_at, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tuberry_domain::Proxy;
use tuberry_domain::account::{AccountProblem, AccountTrouble};

/// How often a closed gate is asked again.
const GATE_POLL: Duration = Duration::from_millis(200);

/// How long the ping before a close may take.
const LAST_PING: Duration = Duration::from_secs(2);

/// Why a connection ends that Telegram closed.
const CLOSED: &str = "closed by Telegram";

/// Why a connection ends whose lease is not in force: a ping would start Telegram's timer anew.
const FENCED: &str = "not allowed to be connected any more";

/// A connection that lived this long was a good one: the next pause is the shortest again.
const GOOD_LIFE: Duration = Duration::from_secs(2);

/// What the connection hands to the intake.
pub(crate) enum Fed {
    /// An update, or what grammers treats as one.
    Update(Box<UpdatesLike>),
    /// A new connection: what was missed must be fetched.
    Connected,
    /// grammers had no room for updates: what was dropped must be fetched.
    Overflow,
}

/// Why a connection was given up.
enum End {
    Stopped,
    Lost(String),
    Problem(AccountProblem),
}

impl From<WireError> for End {
    fn from(error: WireError) -> Self {
        match (error.account_problem(), error) {
            // A live connection may end with −404 for reasons of its own; the next one shows whether the key is gone.
            (_, WireError::KeyUnknown) => Self::Lost("transport error 404".into()),
            (Some(problem), _) => Self::Problem(problem),
            (None, WireError::Lost(why) | WireError::NotConnected(why)) => Self::Lost(why),
            (None, WireError::Proxy(trouble)) => Self::Lost(trouble.text()),
            (None, WireError::Rpc(error)) => Self::Lost(error.to_string()),
        }
    }
}

/// The task that owns the connection.
pub(crate) struct Supervisor {
    pub(crate) shared: Arc<Shared>,
    pub(crate) session: Arc<HeldSession>,
    /// The account's own way to Telegram, instead of the network's.
    pub(crate) proxy: Option<Proxy>,
    pub(crate) fed: mpsc::Sender<Fed>,
    pub(crate) stop: CancellationToken,
}

impl Supervisor {
    /// Returns when the connection is closed for good, and its socket too.
    pub(crate) async fn run(self) {
        let timings = self.shared.network.timings;
        let mut backoff = Backoff::new(timings.backoff_min, timings.backoff_max);
        let (mut again, mut lost_at) = (false, Instant::now());
        let last = loop {
            if self.stop.is_cancelled() {
                break LinkStatus::Closed;
            }
            if !(self.shared.gate)() {
                self.pause(GATE_POLL).await;
                continue;
            }
            if std::mem::replace(&mut again, true) {
                tokio::select! {
                    () = self.shared.network.turn() => {}
                    () = self.stop.cancelled() => continue,
                }
            }
            let mut pause = None;
            let end = match Wire::open(&self.shared.network, &self.session, self.proxy.as_ref(), &self.stop).await {
                Ok((wire, updates)) => {
                    let since = Instant::now();
                    let end = self.live(wire, updates).await;
                    if since.elapsed() >= GOOD_LIFE {
                        backoff.reset();
                    }
                    lost_at = Instant::now();
                    end
                }
                Err(WireError::KeyUnknown) => End::Problem(AccountProblem::SignedOut),
                Err(error) => {
                    match &error {
                        WireError::Rpc(error) => pause = self.shared.refused(error),
                        WireError::Proxy(trouble) => self.shared.met(*trouble),
                        _ if lost_at.elapsed() > timings.unreachable_after => self.shared.met(AccountTrouble::Unreachable),
                        _ => {}
                    }
                    error.into()
                }
            };
            match end {
                End::Stopped => break LinkStatus::Closed,
                End::Problem(problem) => break LinkStatus::Ended(problem),
                End::Lost(why) => tracing::debug!(why, "connection lost"),
            }
            self.pause(pause.unwrap_or_else(|| backoff.next())).await;
        };
        self.shared.publish(last, None);
    }

    async fn pause(&self, period: Duration) {
        let _ = timeout(period, self.stop.cancelled()).await;
    }

    /// One connection from its first ping to the closing of its socket.
    async fn live(&self, wire: Wire, updates: mpsc::Receiver<UpdatesLike>) -> End {
        let discard = CancellationToken::new();
        let forward = Forward { updates, fed: self.fed.clone(), discard: discard.clone(), lost: Arc::new(Notify::new()) };
        let lost = forward.lost.clone();
        self.shared.deaf.store(false, Ordering::Relaxed);
        let forwarding = tokio::spawn(forward.run());
        self.shared.publish(LinkStatus::Up, Some(wire.caller().clone()));
        let end = tokio::select! {
            biased;
            () = self.stop.cancelled() => End::Stopped,
            () = lost.notified() => End::Lost(CLOSED.into()),
            end = self.watch(&wire) => end,
        };
        self.shared.publish(LinkStatus::Connecting, None);
        discard.cancel();
        if !self.hears_the_close(&wire, &end).await {
            self.session.linger(wire.may_linger_until());
        }
        wire.close(None).await;
        finish(forwarding).await;
        end
    }

    /// Whether Telegram will hear that the connection is closed: it answers, or has closed it itself. Where the network is gone at that moment it
    /// keeps its end, and a connection of another process would be a second one.
    async fn hears_the_close(&self, wire: &Wire, end: &End) -> bool {
        match end {
            End::Problem(_) => true,
            End::Lost(why) if why == CLOSED => true,
            // A ping without the lease would start Telegram's timer anew; whoever takes over waits by other rules.
            _ if !(self.shared.gate)() => true,
            End::Stopped => matches!(timeout(LAST_PING, wire.ping()).await, Ok(Ok(()))),
            End::Lost(_) => false,
        }
    }

    /// Pings the connection and asks after the session, until something is wrong.
    async fn watch(&self, wire: &Wire) -> End {
        let timings = &self.shared.network.timings;
        let mut ping = interval_at(Instant::now() + timings.ping_every, timings.ping_every);
        let mut probe = interval_at(Instant::now() + timings.probe_every, timings.probe_every);
        loop {
            let asked = tokio::select! {
                () = self.shared.attention.notified() => match self.shared.problem() {
                    Some(problem) => return End::Problem(problem),
                    None if self.shared.deaf.load(Ordering::Relaxed) => return End::Lost("deaf: it pushes no updates".into()),
                    None if !(self.shared.gate)() => return End::Lost(FENCED.into()),
                    None => wire.ping().await,
                },
                _ = ping.tick() => match (self.shared.gate)() {
                    true => wire.ping().await,
                    false => return End::Lost(FENCED.into()),
                },
                _ = probe.tick() => {
                    let state = wire.caller().call(&functions::updates::GetState {}, timings.ping_timeout).await;
                    if let Err(WireError::Rpc(error)) = &state
                        && let Some(wait) = error.flood_wait()
                    {
                        probe.reset_after(wait.max(timings.probe_every));
                    }
                    state.map(|state| self.shared.probe_answered(&state))
                }
            };
            match asked {
                // Only what concerns the account matters here: a flood wait does not end a connection.
                Ok(()) => {}
                Err(WireError::Rpc(error)) if error.account_problem().is_none() => {}
                Err(error) => return error.into(),
            }
        }
    }
}

/// Carries the updates of one connection to the intake.
struct Forward {
    updates: mpsc::Receiver<UpdatesLike>,
    fed: mpsc::Sender<Fed>,
    discard: CancellationToken,
    lost: Arc<Notify>,
}

impl Forward {
    /// Returns when the connection's socket is closed.
    async fn run(mut self) {
        self.feed(Fed::Connected).await;
        loop {
            // grammers drops updates silently when its channel is full. Only this task takes from it, so a full channel is
            // always seen here.
            let full = self.updates.len() == self.updates.max_capacity();
            match self.updates.recv().await {
                Some(UpdatesLike::ConnectionClosed) => self.lost.notify_one(),
                Some(update) => self.feed(Fed::Update(Box::new(update))).await,
                None => break,
            }
            if full {
                self.feed(Fed::Overflow).await;
            }
        }
        self.lost.notify_one();
    }

    async fn feed(&self, fed: Fed) {
        tokio::select! {
            biased;
            () = self.discard.cancelled() => {}
            // An intake that is gone takes nothing; its account is about to be closed.
            _ = self.fed.send(fed) => {}
        }
    }
}

async fn finish(mut forwarding: JoinHandle<()>) {
    if timeout(Duration::from_secs(2), &mut forwarding).await.is_err() {
        tracing::warn!("a connection did not close in time");
        forwarding.abort();
    }
    // The updates channel closes a moment before the socket when a connection had to be aborted.
    sleep(Duration::from_millis(1)).await;
}

//! An account's connection as its owner holds it: opened with what the database knows, closed when the account is given back.

use super::calls::Calls;
use super::connection::Supervisor;
use super::intake::{Floors, Intake, Start};
use super::network::Network;
use super::session::{Gate, HeldSession};
use super::shared::{LinkStatus, Shared};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tuberry_domain::account::{Accepts, AccountTrouble};
use tuberry_domain::intake::{Peer, UpdateState};
use tuberry_domain::session::StringSession;
use tuberry_domain::{ChatId, Proxy, TelegramMessageId, TelegramUserId};

/// Updates between the connection and the intake. Small: what does not fit waits in grammers' own channel.
const FED_CAPACITY: usize = 8;

/// What the account accepts right now. Asked for every message.
pub type AcceptsNow = Arc<dyn Fn() -> Accepts + Send + Sync>;

/// What is known of an account when its connection begins.
pub struct LinkStart {
    /// The session; opened from its seal just before.
    pub session: StringSession,
    /// Who the account is; asked where it is not known.
    pub self_id: Option<TelegramUserId>,
    /// The state that belongs to what was committed last. Default (all 0): from now on, and back to the floors.
    pub state: UpdateState,
    /// What is stored of the account's chats.
    pub floors: Floors,
    /// Chats of the account's dialogs that are not among its peers: the list of its chats introduces them.
    pub strangers: Vec<ChatId>,
    /// The account's own proxy, instead of the network's.
    pub proxy: Option<Proxy>,
    /// The peers that the account met, with its access hashes.
    pub peers: Vec<Peer>,
    /// The highest id among the committed messages of private chats and basic groups (they share one sequence): where catching
    /// up stops when Telegram no longer has the difference. `None`: by date.
    pub last_message: Option<TelegramMessageId>,
    /// Which chats to take in.
    pub accepts: AcceptsNow,
    /// Whether this process owns the account now.
    pub gate: Gate,
}

/// An account's connection. Close it: dropping it ends it too, but without waiting for the end.
pub struct AccountLink {
    calls: Calls,
    stop: CancellationToken,
    supervisor: JoinHandle<()>,
    session: Arc<HeldSession>,
}

impl AccountLink {
    /// Begins to connect, in the background, at once: [`Network::turn`] comes before. There must be no other connection on the same key
    /// anywhere.
    pub fn open(network: Arc<Network>, start: LinkStart) -> (Self, Intake) {
        let home = i32::from(start.session.dc);
        let mut addresses = network.addresses();
        if let SocketAddr::V4(address) = start.session.address {
            addresses.entry(home).or_insert(address);
        }
        let keys = BTreeMap::from([(home, start.session.auth_key)]);
        let session = Arc::new(HeldSession::new(addresses, home, keys, start.gate.clone()));
        let shared = Arc::new(Shared::new(network, start.gate));
        let (fed, feed) = mpsc::channel(FED_CAPACITY);
        let stop = CancellationToken::new();
        let supervisor =
            Supervisor { shared: shared.clone(), session: session.clone(), proxy: start.proxy, fed, stop: stop.clone() };
        let calls = Calls(shared);
        let known = super::intake::Known::new(start.self_id, start.peers, start.accepts);
        let begin =
            Start { state: start.state, last_message: start.last_message, floors: start.floors, strangers: start.strangers };
        let intake = Intake::new(calls.clone(), feed, known, begin);
        (Self { calls, stop, supervisor: tokio::spawn(supervisor.run()), session }, intake)
    }

    /// A handle for calls.
    pub fn calls(&self) -> Calls {
        self.calls.clone()
    }

    /// The connection's status and its changes.
    pub fn status(&self) -> watch::Receiver<LinkStatus> {
        self.calls.0.status()
    }

    /// What keeps the account from full service for now, and its changes.
    pub fn trouble(&self) -> watch::Receiver<Option<AccountTrouble>> {
        self.calls.0.trouble()
    }

    /// Closes the connection and returns when its socket is closed. Calls that are under way fail with
    /// [`tuberry_domain::ports::CallError::Lost`]. The key may be used by another process from the returned time on: it is past, unless Telegram
    /// did not answer lately and may not have heard of a close.
    pub async fn close(mut self) -> Instant {
        self.stop.cancel();
        if let Err(error) = (&mut self.supervisor).await {
            tracing::error!(%error, "an account's connection ended badly");
        }
        self.session.lingers_until()
    }
}

impl Drop for AccountLink {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

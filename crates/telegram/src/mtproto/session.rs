//! The session that grammers sees: home DC and keys in memory. It decides two things that grammers does not ask about: a pool
//! gets one connection and no second one, and a key that exists is never replaced by another (grammers makes a new one when
//! Telegram answers −404).

use grammers_session::types::{DcOption, PeerId, PeerInfo, UpdateState, UpdatesState};
use grammers_session::{BoxFuture, Session};
use std::collections::BTreeMap;
use std::net::{SocketAddrV4, SocketAddrV6};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;
use tuberry_domain::Secret;
use tuberry_domain::session::AuthKey;

/// Whether this process may connect and call right now (it holds the lease). Asked before every connection and every call, so it
/// must be cheap.
pub type Gate = Arc<dyn Fn() -> bool + Send + Sync>;

/// Keys and home DC of one account or login.
pub(crate) struct HeldSession {
    addresses: BTreeMap<i32, SocketAddrV4>,
    gate: Gate,
    state: Mutex<State>,
}

struct State {
    home: i32,
    keys: BTreeMap<i32, AuthKey>,
    phase: Phase,
    lingers_until: Instant,
}

/// How far the one permitted connection is. grammers' `create_connection` asks in this order: the DC's option, the options that
/// Telegram's configuration names, the option again to store its key, and at last which DC is home.
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Idle,
    Permitted,
    Connecting,
    Connected,
}

/// Why the session says no.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("not allowed to connect")]
    Connection,
    #[error("the authorization key is not to be replaced")]
    Key,
}

impl HeldSession {
    pub(crate) fn new(addresses: BTreeMap<i32, SocketAddrV4>, home: i32, keys: BTreeMap<i32, AuthKey>, gate: Gate) -> Self {
        Self { addresses, gate, state: Mutex::new(State { home, keys, phase: Phase::Idle, lingers_until: Instant::now() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Permits one connection. False: the gate is closed.
    pub(crate) fn permit_connection(&self) -> bool {
        let open = (self.gate)();
        self.state().phase = if open { Phase::Permitted } else { Phase::Idle };
        open
    }

    /// A connection was closed, and Telegram may not have heard of it: until then it may keep its end.
    pub(crate) fn linger(&self, until: Instant) {
        let mut state = self.state();
        state.lingers_until = state.lingers_until.max(until);
    }

    /// From when on Telegram holds no connection of this session.
    pub(crate) fn lingers_until(&self) -> Instant {
        self.state().lingers_until
    }

    pub(crate) fn home(&self) -> i32 {
        self.state().home
    }

    /// Moves to another DC. Close the connection to the old one first: which connection is home is fixed when it is made.
    pub(crate) fn set_home(&self, dc: i32) {
        self.state().home = dc;
    }

    pub(crate) fn key(&self, dc: i32) -> Option<AuthKey> {
        self.state().keys.get(&dc).cloned()
    }

    pub(crate) fn add_key(&self, dc: i32, key: AuthKey) {
        self.state().keys.entry(dc).or_insert(key);
    }

    /// Every key with its DC.
    pub(crate) fn keys(&self) -> Vec<(i32, AuthKey)> {
        self.state().keys.iter().map(|(dc, key)| (*dc, key.clone())).collect()
    }

    pub(crate) fn address(&self, dc: i32) -> Option<SocketAddrV4> {
        self.addresses.get(&dc).copied()
    }

    fn option(&self, dc: i32) -> Option<DcOption> {
        let ipv4 = self.address(dc)?;
        let ipv6 = SocketAddrV6::new(ipv4.ip().to_ipv6_mapped(), ipv4.port(), 0, 0);
        Some(DcOption { id: dc, ipv4, ipv6, auth_key: self.key(dc).map(|key| *key.expose()) })
    }
}

impl Session for HeldSession {
    type Error = Refused;

    fn home_dc_id(&self) -> Result<i32, Refused> {
        let mut state = self.state();
        if state.phase == Phase::Connecting {
            state.phase = Phase::Connected;
        }
        Ok(state.home)
    }

    fn set_home_dc_id(&self, dc: i32) -> BoxFuture<'_, Result<(), Refused>> {
        self.set_home(dc);
        Box::pin(async { Ok(()) })
    }

    fn dc_option(&self, dc: i32) -> Result<Option<DcOption>, Refused> {
        let phase = self.state().phase;
        match phase {
            Phase::Permitted if (self.gate)() => self.state().phase = Phase::Connecting,
            Phase::Connecting => {}
            Phase::Idle | Phase::Permitted | Phase::Connected => return Err(Refused::Connection),
        }
        Ok(self.option(dc))
    }

    /// Addresses are ours to know: only a new key is kept.
    fn set_dc_option(&self, option: &DcOption) -> BoxFuture<'_, Result<(), Refused>> {
        let result = match (option.auth_key, self.key(option.id)) {
            (Some(new), Some(old)) if new != *old.expose() => Err(Refused::Key),
            (Some(new), None) => {
                self.add_key(option.id, Secret::new(new));
                Ok(())
            }
            _ => Ok(()),
        };
        Box::pin(async { result })
    }

    fn peer(&self, _: PeerId) -> BoxFuture<'_, Result<Option<PeerInfo>, Refused>> {
        Box::pin(async { Ok(None) })
    }

    fn cache_peer(&self, _: PeerInfo) -> BoxFuture<'_, Result<(), Refused>> {
        Box::pin(async { Ok(()) })
    }

    fn updates_state(&self) -> BoxFuture<'_, Result<UpdatesState, Refused>> {
        Box::pin(async { Ok(UpdatesState::default()) })
    }

    fn set_update_state(&self, _: UpdateState) -> BoxFuture<'_, Result<(), Refused>> {
        Box::pin(async { Ok(()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn session(open: bool) -> (HeldSession, Arc<AtomicBool>) {
        let gate = Arc::new(AtomicBool::new(open));
        let asked = gate.clone();
        let address = (2, "127.0.0.1:443".parse().unwrap());
        let keys = BTreeMap::from([(2, Secret::new([1; 256]))]);
        (HeldSession::new([address].into(), 2, keys, Arc::new(move || asked.load(Ordering::Relaxed))), gate)
    }

    #[tokio::test]
    async fn one_permission_is_one_connection() {
        let (session, gate) = session(true);
        assert!(session.dc_option(2).is_err());
        assert!(session.permit_connection());
        for _ in 0..3 {
            assert_eq!(session.dc_option(2).unwrap().unwrap().auth_key, Some([1; 256]));
        }
        assert_eq!(session.home_dc_id().unwrap(), 2);
        assert!(session.dc_option(2).is_err());
        assert!(session.permit_connection());
        gate.store(false, Ordering::Relaxed);
        assert!(session.dc_option(2).is_err() && !session.permit_connection());
    }

    #[tokio::test]
    async fn a_key_is_learned_once_and_never_replaced() {
        let (session, _gate) = session(true);
        session.permit_connection();
        let mut option = session.dc_option(2).unwrap().unwrap();
        session.set_dc_option(&option).await.unwrap();
        option.auth_key = Some([2; 256]);
        assert!(matches!(session.set_dc_option(&option).await, Err(Refused::Key)));
        session.set_dc_option(&DcOption { id: 4, ..option }).await.unwrap();
        assert_eq!(session.keys().iter().map(|(dc, key)| (*dc, key.expose()[0])).collect::<Vec<_>>(), [(2, 1), (4, 2)]);
    }
}

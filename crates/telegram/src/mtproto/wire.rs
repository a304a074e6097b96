//! One TCP connection to one DC: a grammers pool that lives exactly as long as it.

use super::errors::WireError;
use super::network::Network;
use super::session::HeldSession;
use super::socks;
use crate::calls::{Call, Interface};
use grammers_mtsender::{InvocationError, SenderPool, SenderPoolHandle};
use grammers_session::updates::UpdatesLike;
use grammers_tl_types::{Deserializable, RemoteCall, Serializable, functions};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tuberry_domain::Proxy;
use tuberry_domain::account::AccountTrouble;

/// How late a ping may arrive.
const LATEST_PING: Duration = Duration::from_secs(5);

/// Why a connection was not made.
const LATE: &str = "the connection was not made in time";

/// How long a graceful close may take before the runner is aborted.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Calls over one connection; cheap to clone. It does not keep the connection open.
#[derive(Clone)]
pub(crate) struct Caller {
    handle: SenderPoolHandle,
    dc: i32,
}

/// An open connection. Dropping it closes it too, but only [`Wire::close`] knows when.
pub(crate) struct Wire {
    caller: Caller,
    runner: JoinHandle<()>,
    disconnect_delay: i32,
    /// When the last ping was sent.
    pinged_at: Mutex<Instant>,
    ping_timeout: Duration,
    /// After the close of our socket, how long a proxy may take to close its own to Telegram.
    rest: Duration,
}

impl Caller {
    /// One call, with its time limit.
    pub(crate) async fn call<R: RemoteCall>(&self, request: &R, limit: Duration) -> Result<R::Return, WireError> {
        let request = request.to_bytes();
        let call = Call::begin(Interface::Mtproto, method_of(&request));
        let answer = match timeout(limit, self.handle.raw_invoke_in_dc(self.dc, request)).instrument(call.span()).await {
            Ok(Ok(body)) => R::Return::from_bytes(&body).map_err(|error| InvocationError::from(error).into()),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(WireError::Lost(format!("no answer within {limit:?}"))),
        };
        call.end(answer.as_ref().map_or_else(WireError::class, |_| "ok"));
        answer
    }
}

/// The method's name in Telegram's schema, by the number that every request begins with.
fn method_of(request: &[u8]) -> &'static str {
    request.first_chunk().map_or("(empty)", |number| grammers_tl_types::name_for_id(u32::from_le_bytes(*number)))
}

impl Wire {
    /// Connects to the session's home DC, over the account's own proxy, else the network's, else directly. `ping_delay_disconnect` is the first call: from its answer on, Telegram closes this
    /// connection when it hears nothing for the delay. On failure and on `stop` nothing stays open.
    pub(crate) async fn open(
        network: &Network,
        session: &Arc<HeldSession>,
        proxy: Option<&Proxy>,
        stop: &CancellationToken,
    ) -> Result<(Self, mpsc::Receiver<UpdatesLike>), WireError> {
        let timings = &network.timings;
        let proxy = proxy.or(network.proxy.as_ref());
        let proxy_url = match proxy {
            Some(proxy) => Some(socks::locate(proxy, timings.connect).await?),
            None => None,
        };
        if !session.permit_connection() {
            return Err(WireError::NotConnected("not allowed to connect".into()));
        }
        let dc = session.home();
        let had_key = session.key(dc).is_some();
        let pool = SenderPool::with_configuration(
            session.clone(),
            network.application.id,
            network.connection_params(proxy_url.as_ref()),
        );
        let caller = Caller { handle: pool.handle.thin, dc };
        let mut wire = Self {
            caller,
            runner: tokio::spawn(pool.runner.run()),
            disconnect_delay: i32::try_from(timings.disconnect_delay.as_secs()).unwrap_or(i32::MAX),
            pinged_at: Mutex::new(Instant::now()),
            ping_timeout: timings.ping_timeout,
            rest: if proxy.is_some() { socks::REST } else { Duration::ZERO },
        };
        let request = wire.ping_request();
        let first = wire.caller.handle.raw_invoke_in_dc(dc, request.to_bytes());
        let failure = tokio::select! {
            answer = timeout(timings.connect, first) => match answer {
                Ok(Ok(_)) => return Ok((wire, pool.updates)),
                // grammers exchanges keys only for want of one, or when Telegram does not know the one we have.
                Ok(Err(InvocationError::Authentication(_))) if had_key => WireError::KeyUnknown,
                Ok(Err(InvocationError::Io(error))) => match socks::blames_the_proxy(&error) {
                    Some(trouble) => WireError::Proxy(trouble),
                    None => WireError::Lost(error.to_string()),
                },
                Ok(Err(error)) => error.into(),
                Err(_) if proxy.is_some() => WireError::Proxy(AccountTrouble::ProxyUnavailable),
                Err(_) => WireError::Lost(LATE.into()),
            },
            () = stop.cancelled() => WireError::NotConnected("stopped".into()),
        };
        if matches!(&failure, WireError::Lost(why) if why == LATE) {
            // The ping may have arrived all the same, and the close that follows may not.
            session.linger(wire.may_linger_until());
        }
        wire.runner.abort();
        let _ = (&mut wire.runner).await;
        drained(pool.updates).await;
        sleep(wire.rest).await;
        // Nothing but the ping was sent.
        Err(match failure {
            WireError::Lost(why) => WireError::NotConnected(why),
            other => other,
        })
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// `ping_delay_disconnect`: shows that the connection lives, and tells Telegram so.
    pub(crate) async fn ping(&self) -> Result<(), WireError> {
        *self.pinged_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.caller.call(&self.ping_request(), self.ping_timeout).await.map(drop)
    }

    /// When Telegram gives this connection up by itself, should it not hear of its close.
    pub(crate) fn may_linger_until(&self) -> Instant {
        let pinged_at = *self.pinged_at.lock().unwrap_or_else(PoisonError::into_inner);
        pinged_at + Duration::from_secs(self.disconnect_delay.unsigned_abs().into()) + LATEST_PING
    }

    fn ping_request(&self) -> functions::PingDelayDisconnect {
        let mut id = [0; 8];
        // Ids need only differ, and only a broken clock and a broken kernel together make two alike.
        let _ = getrandom::fill(&mut id);
        functions::PingDelayDisconnect { ping_id: i64::from_le_bytes(id), disconnect_delay: self.disconnect_delay }
    }

    /// Closes the connection and returns when its socket is closed. Whoever took `updates` drains it instead.
    pub(crate) async fn close(mut self, updates: Option<mpsc::Receiver<UpdatesLike>>) {
        self.caller.handle.quit();
        if timeout(CLOSE_TIMEOUT, &mut self.runner).await.is_err() {
            self.runner.abort();
            let _ = (&mut self.runner).await;
        }
        if let Some(updates) = updates {
            drained(updates).await;
        }
        sleep(self.rest).await;
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.runner.abort();
    }
}

/// Every connection of a pool holds a sender of this channel: when they are all gone, so are the sockets. (A runner that was
/// aborted does not wait for its connections.)
pub(crate) async fn drained(mut updates: mpsc::Receiver<UpdatesLike>) {
    let _ = timeout(CLOSE_TIMEOUT, async { while updates.recv().await.is_some() {} }).await;
}

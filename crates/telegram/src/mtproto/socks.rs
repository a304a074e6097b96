//! The SOCKS5 proxy on the way: where it is, and whether it is to blame. grammers speaks the protocol.

use super::errors::WireError;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;
use tuberry_domain::account::AccountTrouble;
use tuberry_domain::{Proxy, Secret};

/// A proxy closes its connection to Telegram a moment after we closed ours to it: until then the key rests.
pub(crate) const REST: Duration = Duration::from_millis(500);

/// The proxy's URL with its address in it: looked up here, by the system's own rules.
pub(crate) async fn locate(proxy: &Proxy, limit: Duration) -> Result<Secret<String>, WireError> {
    let addresses: Vec<SocketAddr> = match timeout(limit, tokio::net::lookup_host(proxy.place())).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    let address = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    address.map(|address| proxy.url_at(*address)).ok_or(WireError::Proxy(AccountTrouble::ProxyUnavailable))
}

/// What an error while connecting says about the proxy; `None`: it is not the proxy's.
pub(crate) fn blames_the_proxy(error: &io::Error) -> Option<AccountTrouble> {
    use tokio_socks::Error;
    match error.get_ref()?.downcast_ref::<Error>()? {
        Error::PasswordAuthFailure(_) | Error::NoAcceptableAuthMethods | Error::InvalidAuthValues(_) => {
            Some(AccountTrouble::ProxyRefused)
        }
        _ => Some(AccountTrouble::ProxyUnavailable),
    }
}

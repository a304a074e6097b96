//! The control calls of the simulated Telegram that stand in for what only the real one can do.

use super::network::NetworkError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;
use tuberry_domain::Secret;
use tuberry_domain::session::AuthKey;
use zeroize::Zeroizing;

/// A simulator, by its HTTP address.
#[derive(Debug)]
pub(crate) struct SimulatorControl {
    base: String,
    http: reqwest::Client,
}

/// `GET /control/config`.
#[derive(Deserialize)]
pub(crate) struct Config {
    pub(crate) dcs: Vec<Dc>,
    pub(crate) bot_api_base: String,
}

#[derive(Deserialize)]
pub(crate) struct Dc {
    id: i32,
    host: Ipv4Addr,
    port: u16,
}

impl Dc {
    pub(crate) fn address(&self) -> (i32, SocketAddrV4) {
        (self.id, SocketAddrV4::new(self.host, self.port))
    }
}

#[derive(Deserialize)]
struct NewKey {
    auth_key: Secret<String>,
}

impl SimulatorControl {
    pub(crate) fn new(base: &str) -> Result<Self, NetworkError> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build()?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), http })
    }

    pub(crate) async fn config(&self) -> Result<Config, NetworkError> {
        let answer = self.http.get(format!("{}/control/config", self.base)).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// A fresh authorization key, instead of the key exchange: grammers has Telegram's RSA keys compiled in.
    pub(crate) async fn new_key(&self, dc: i32) -> Result<AuthKey, NetworkError> {
        let url = format!("{}/control/auth-keys", self.base);
        let answer = self.http.post(url).json(&serde_json::json!({ "dc_id": dc })).send().await?;
        let NewKey { auth_key } = answer.error_for_status()?.json().await?;
        let bytes = Zeroizing::new(STANDARD.decode(auth_key.expose()).map_err(|_| NetworkError::BadAnswer)?);
        Ok(Secret::new(bytes.as_slice().try_into().map_err(|_| NetworkError::BadAnswer)?))
    }
}

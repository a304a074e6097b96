//! Logins by QR code and log-outs: connections on keys that are not (or no longer) an account's. A login's steps may run in
//! different processes; what they hand on is the [`LoginKey`].

use super::errors::WireError;
use super::network::Network;
use super::peers::self_user;
use super::session::HeldSession;
use super::wire::Wire;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::DateTime;
use grammers_session::updates::UpdatesLike;
use grammers_tl_types::{RemoteCall, Serializable, enums, functions, types};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tuberry_domain::intake::{SelfUser, UpdateState};
use tuberry_domain::ports::{Export, LoginConnection, LoginError, LoginKey, Logins, PasswordProof};
use tuberry_domain::session::{AuthKey, StringSession};
use tuberry_domain::{Proxy, Secret};
use zeroize::{Zeroize, Zeroizing};

/// How many answers of `auth.exportLoginToken` may lead to the next question (another DC, a token that expired meanwhile).
const MAX_HOPS: usize = 4;

/// Logins over MTProto.
#[derive(Clone, Debug)]
pub struct MtprotoLogins {
    network: Arc<Network>,
}

/// What a [`LoginKey`] holds.
#[derive(Serialize, Deserialize)]
struct StoredKey {
    home: i32,
    /// Base64 by DC.
    keys: BTreeMap<i32, String>,
}

impl Drop for StoredKey {
    fn drop(&mut self) {
        self.keys.values_mut().for_each(Zeroize::zeroize);
    }
}

/// A login's connection.
struct Login {
    network: Arc<Network>,
    session: Arc<HeldSession>,
    /// The way to Telegram, instead of the network's.
    proxy: Option<Proxy>,
    /// The open connection, if there is one: a broken one is closed at once and made anew by the next call.
    line: Option<(Wire, mpsc::Receiver<UpdatesLike>)>,
}

impl MtprotoLogins {
    /// Logins on this network.
    pub fn new(network: Arc<Network>) -> Self {
        Self { network }
    }

    fn login(&self, home: i32, keys: BTreeMap<i32, AuthKey>, proxy: Option<Proxy>) -> Login {
        // Claims are checked by the jobs before they open a login.
        let session = HeldSession::new(self.network.addresses(), home, keys, Arc::new(|| true));
        Login { network: self.network.clone(), session: Arc::new(session), proxy, line: None }
    }
}

#[async_trait]
impl Logins for MtprotoLogins {
    async fn open(&self, key: Option<&LoginKey>) -> Result<Box<dyn LoginConnection>, LoginError> {
        let (home, keys) = match key {
            Some(key) => read_key(key)?,
            None => (self.network.first_dc(), BTreeMap::new()),
        };
        let mut login = self.login(home, keys, None);
        login.connect().await?;
        Ok(Box::new(login))
    }

    async fn log_out(&self, session: &StringSession, proxy: Option<&Proxy>) -> Result<(), LoginError> {
        let home = i32::from(session.dc);
        let mut login = self.login(home, BTreeMap::from([(home, session.auth_key.clone())]), proxy.cloned());
        let result = login.try_call(&functions::auth::LogOut {}).await;
        login.disconnect().await;
        match result {
            Ok(_) => Ok(()),
            // The session is dead already: that is all that was wanted.
            Err(error) if error.account_problem().is_some() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn read_key(key: &LoginKey) -> Result<(i32, BTreeMap<i32, AuthKey>), LoginError> {
    let unusable = || LoginError::Unusable("the stored login key is not readable".into());
    let stored: StoredKey = serde_json::from_str(&key.0).map_err(|_| unusable())?;
    let mut keys = BTreeMap::new();
    for (dc, text) in &stored.keys {
        let bytes = Zeroizing::new(STANDARD.decode(text.as_bytes()).map_err(|_| unusable())?);
        keys.insert(*dc, Secret::new(bytes.as_slice().try_into().map_err(|_| unusable())?));
    }
    Ok((stored.home, keys))
}

impl Login {
    async fn connect(&mut self) -> Result<(), WireError> {
        if self.line.is_some() {
            return Ok(());
        }
        let home = self.session.home();
        if self.session.address(home).is_none() {
            return Err(WireError::NotConnected(format!("no address for data centre {home}")));
        }
        if self.session.key(home).is_none() {
            let key = self.network.new_key(home).await.map_err(|error| WireError::NotConnected(error.to_string()))?;
            if let Some(key) = key {
                self.session.add_key(home, key);
            }
        }
        self.line = Some(Wire::open(&self.network, &self.session, self.proxy.as_ref(), &CancellationToken::new()).await?);
        Ok(())
    }

    async fn disconnect(&mut self) {
        if let Some((wire, updates)) = self.line.take() {
            wire.close(Some(updates)).await;
        }
    }

    /// One call, once.
    async fn try_call<R: RemoteCall>(&mut self, request: &R) -> Result<R::Return, WireError> {
        self.connect().await?;
        let Some((wire, _)) = &self.line else { return Err(WireError::NotConnected("no connection".into())) };
        let result = wire.caller().call(request, self.network.timings.call).await;
        if !matches!(result, Ok(_) | Err(WireError::Rpc(_))) {
            self.disconnect().await;
        }
        result
    }

    /// One call that may be made twice: repeated on a new connection when the first broke.
    async fn call<R: RemoteCall>(&mut self, request: &R) -> Result<R::Return, WireError> {
        match self.try_call(request).await {
            Err(WireError::Lost(_) | WireError::NotConnected(_)) => self.try_call(request).await,
            result => result,
        }
    }

    async fn move_to(&mut self, dc: i32) {
        self.disconnect().await;
        self.session.set_home(dc);
    }

    async fn password_wanted(&mut self) -> Result<Export, LoginError> {
        let (parameters, hint) = self.password().await?;
        Ok(Export::PasswordWanted { parameters, hint })
    }
}

#[async_trait]
impl LoginConnection for Login {
    fn key(&self) -> LoginKey {
        let keys = self.session.keys().into_iter().map(|(dc, key)| (dc, STANDARD.encode(key.expose()))).collect();
        LoginKey(serde_json::to_string(&StoredKey { home: self.session.home(), keys }).expect("numbers and texts make JSON"))
    }

    async fn export(&mut self) -> Result<Export, LoginError> {
        let ask = functions::auth::ExportLoginToken {
            api_id: self.network.application.id,
            api_hash: self.network.application.hash.clone(),
            except_ids: Vec::new(),
        };
        let mut answer = self.call(&ask).await;
        for _ in 0..MAX_HOPS {
            match answer {
                Ok(enums::auth::LoginToken::Token(token)) => {
                    let url = format!("tg://login?token={}", URL_SAFE_NO_PAD.encode(&token.token));
                    let expires_at = DateTime::from_timestamp(token.expires.into(), 0)
                        .ok_or_else(|| LoginError::Unusable("a token without an end".into()))?;
                    return Ok(Export::Token { url, expires_at });
                }
                Ok(enums::auth::LoginToken::Success(_)) => return Ok(Export::Authorised),
                Ok(enums::auth::LoginToken::MigrateTo(there)) => {
                    self.move_to(there.dc_id).await;
                    answer = self.call(&functions::auth::ImportLoginToken { token: there.token }).await;
                }
                Err(WireError::Rpc(error)) if error.name == "SESSION_PASSWORD_NEEDED" => return self.password_wanted().await,
                // The token expired, or another step of this login has used it: ask for the next.
                Err(WireError::Rpc(error)) if error.name.starts_with("AUTH_TOKEN_") => answer = self.call(&ask).await,
                Err(error) => return Err(error.into()),
            }
        }
        Err(LoginError::Unusable("Telegram sends the login from one data centre to the next".into()))
    }

    async fn wait(&mut self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let Some((wire, updates)) = &mut self.line else { return };
        // Keeps Telegram's own timer from closing a login that waits for its scan.
        if wire.ping().await.is_ok() {
            loop {
                match timeout_at(deadline, updates.recv()).await {
                    Ok(Some(UpdatesLike::Updates(update))) if is_scan(&update) => return,
                    Ok(Some(UpdatesLike::ConnectionClosed) | None) => break,
                    Ok(Some(_)) => {}
                    Err(_) => return,
                }
            }
        }
        self.disconnect().await;
    }

    async fn password(&mut self) -> Result<(Vec<u8>, Option<String>), LoginError> {
        let parameters = self.call(&functions::account::GetPassword {}).await?;
        let bytes = parameters.to_bytes();
        let enums::account::Password::Password(parameters) = parameters;
        Ok((bytes, parameters.hint.filter(|hint| !hint.is_empty())))
    }

    async fn check_password(&mut self, proof: &PasswordProof) -> Result<(), LoginError> {
        let password = types::InputCheckPasswordSrp { srp_id: proof.srp_id, a: proof.a.clone(), m1: proof.m1.clone() }.into();
        match self.try_call(&functions::auth::CheckPassword { password }).await {
            Ok(enums::auth::Authorization::Authorization(_)) => Ok(()),
            Ok(enums::auth::Authorization::SignUpRequired(_)) => Err(LoginError::Unusable("no such account".into())),
            // Nobody knows whether the password was checked: who is logged in may ask for the state.
            Err(WireError::Lost(why)) => match self.call(&functions::updates::GetState {}).await {
                Ok(_) => Ok(()),
                Err(WireError::Rpc(_)) => Err(LoginError::Connection(why)),
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    async fn identity(&mut self) -> Result<(SelfUser, UpdateState), LoginError> {
        let users = self.call(&functions::users::GetUsers { id: vec![enums::InputUser::UserSelf] }).await?;
        let user = users.first().and_then(self_user).ok_or_else(|| LoginError::Unusable("no answer to who we are".into()))?;
        let enums::updates::State::State(state) = self.call(&functions::updates::GetState {}).await?;
        let state = UpdateState { pts: state.pts, qts: state.qts, date: state.date, seq: state.seq, channels: Vec::new() };
        Ok((user, state))
    }

    fn session(&self) -> Result<StringSession, LoginError> {
        let home = self.session.home();
        let unusable = || LoginError::Unusable(format!("no session on data centre {home}"));
        let address = SocketAddr::V4(self.session.address(home).ok_or_else(unusable)?);
        let dc = u8::try_from(home).map_err(|_| unusable())?;
        Ok(StringSession { dc, address, auth_key: self.session.key(home).ok_or_else(unusable)? })
    }

    async fn close(mut self: Box<Self>) {
        self.disconnect().await;
    }
}

/// `updateLoginToken`: a phone scanned the code.
fn is_scan(updates: &enums::Updates) -> bool {
    let scanned = |update: &enums::Update| matches!(update, enums::Update::LoginToken);
    match updates {
        enums::Updates::UpdateShort(short) => scanned(&short.update),
        enums::Updates::Updates(updates) => updates.updates.iter().any(scanned),
        enums::Updates::Combined(updates) => updates.updates.iter().any(scanned),
        _ => false,
    }
}

//! What the login's jobs share: taking the key, one connection per step, storing what the step brought.

use crate::JobError;
use crate::context::{Context, login_place};
use crate::fence::while_held;
use chrono::{Duration as ChronoDuration, Utc};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tuberry_domain::LoginNumber;
use tuberry_domain::account::AccountTrouble;
use tuberry_domain::intake::{SelfUser, UpdateState};
use tuberry_domain::login::{LoginEvent, LoginStage};
use tuberry_domain::ports::{ClaimError, KeyClaims, KeyClass, Lease, LoginConnection, LoginError, LoginKey, Reuse};
use tuberry_domain::session::StringSession;
use tuberry_storage::logins::{self, Login};
use tuberry_storage::{Tx, accounts, leases, workers};

/// The password may still be typed for this long after it was asked for, even when the QR code's time is over.
const PASSWORD_TIME: i64 = 300;

/// The longest that a close takes to be seen.
const CLOSING: Duration = Duration::from_secs(6);

/// One step of a login: its row, the right to its key, and a connection.
pub(crate) struct Step<'a> {
    cx: &'a Context,
    pub(crate) login: Login,
    held: Held,
}

/// A key in use: closed and given back in this order, also when the job is aborted or fails half-way.
struct Held {
    claims: Arc<dyn KeyClaims>,
    lease: Lease,
    given_back: bool,
    connection: Option<Box<dyn LoginConnection>>,
    /// True until the close was seen.
    open: Arc<AtomicBool>,
}

impl Held {
    /// Closes the connection and sees the close.
    async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.close().await;
            self.open.store(false, Ordering::Relaxed);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // A close that was not seen to its end leaves the claim to end by itself.
        if self.given_back || (self.connection.is_none() && self.open.load(Ordering::Relaxed)) {
            return;
        }
        let (claims, lease, connection) = (self.claims.clone(), self.lease.clone(), self.connection.take());
        let open = self.open.clone();
        tokio::spawn(async move {
            if let Some(connection) = connection {
                connection.close().await;
                open.store(false, Ordering::Relaxed);
            }
            claims.give_back(&lease).await;
        });
    }
}

impl<'a> Step<'a> {
    /// Loads the login, takes its key and connects, when it stands at one of `stages`.
    pub(crate) async fn open(cx: &'a Context, number: LoginNumber, stages: &[LoginStage]) -> Result<Option<Self>, JobError> {
        let Some(login) = logins::load(cx.store.pool(), number).await?.filter(|login| stages.contains(&login.stage)) else {
            return Ok(None);
        };
        let reuse = if login.stage.may_start_over() { Reuse::Optional } else { Reuse::Required };
        let claim = match cx.claims.claim(KeyClass::Login, number.0, reuse).await {
            Ok(claim) => claim,
            Err(ClaimError::Busy { again_in }) => return Err(JobError::Snooze(again_in)),
            Err(error) => return Err(JobError::retry(error)),
        };
        let key = match login.sealed_key.as_deref().filter(|_| claim.key_is_free) {
            Some(sealed) => Some(open_key(cx, number, sealed)?),
            None => None,
        };
        // A claim that is lost on the way is not given back here: the close was not seen.
        match while_held(&claim.lease, || cx.claims.holds(&claim.lease), cx.logins.open(key.as_ref())).await? {
            Ok(connection) => {
                let held = Held {
                    claims: cx.claims.clone(),
                    lease: claim.lease,
                    given_back: false,
                    connection: Some(connection),
                    open: Arc::new(AtomicBool::new(true)),
                };
                Ok(Some(Self { cx, login, held }))
            }
            Err(error) => {
                cx.claims.give_back(&claim.lease).await;
                fail_or_retry(cx, number, &error).await.map(|()| None)
            }
        }
    }

    /// Runs the step to its end for as long as its key is ours; after that the connection is closed at once, whatever the step waits for.
    pub(crate) async fn run<F>(self, work: impl FnOnce(Self) -> F) -> Result<(), JobError>
    where
        F: Future<Output = Result<(), JobError>>,
    {
        let (claims, lease, open) = (self.held.claims.clone(), self.held.lease.clone(), self.held.open.clone());
        let may_go_on = || claims.holds(&lease) || !open.load(Ordering::Relaxed);
        let done = while_held(&lease, may_go_on, work(self)).await;
        // A step that failed half-way is being closed behind our back: the next run must not find the key in use.
        let patience = Instant::now() + CLOSING;
        while open.load(Ordering::Relaxed) && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        done?
    }

    /// The connection of this step.
    pub(crate) fn connection(&mut self) -> &mut dyn LoginConnection {
        self.held.connection.as_deref_mut().expect("a step is connected until it is closed, which consumes it")
    }

    /// Stores what changed: `change` gets the locked row and says what happened; nothing is stored when that means nothing any more
    /// (the login was cancelled, or has expired).
    pub(crate) async fn store(&mut self, event: LoginEvent, change: impl FnOnce(&mut Login)) -> Result<Option<Tx>, JobError> {
        let mut tx = self.cx.store.begin().await?;
        leases::check(&mut tx, &self.held.lease).await?;
        let number = self.login.number;
        let Some(mut login) = logins::lock(&mut tx, number).await? else { return Ok(None) };
        let Some(stage) = login.stage.next(event) else { return Ok(None) };
        login.stage = stage;
        login.sealed_key = Some(self.cx.seal_login(number, "sealed_key", &self.connection().key().0));
        change(&mut login);
        logins::save(&mut tx, &login).await?;
        self.login = login;
        Ok(Some(tx))
    }

    /// Seals the QR code's URL for the row.
    pub(crate) fn seal_url(&self, url: &str) -> String {
        self.cx.seal_login(self.login.number, "sealed_url", url)
    }

    /// The password is wanted: parameters and hint for the next attempt, and why the last one failed.
    pub(crate) async fn want_password(
        &mut self,
        parameters: Vec<u8>,
        hint: Option<String>,
        error: Option<&str>,
    ) -> Result<(), JobError> {
        let latest = Utc::now() + ChronoDuration::seconds(PASSWORD_TIME);
        let tx = self
            .store(LoginEvent::PasswordWanted, |login| {
                login.password_parameters = Some(parameters);
                login.password_hint = hint;
                login.proof = None;
                login.sealed_url = None;
                login.expires_at = login.expires_at.max(latest);
                login.error = error.map(str::to_owned);
            })
            .await?;
        commit(tx).await
    }

    /// Telegram accepted: reads who it is, closes the connection, and only then makes the account, so that its worker is the key's only user.
    pub(crate) async fn complete(mut self) -> Result<(), JobError> {
        let found = match self.connection().identity().await {
            Ok((user, state)) => self.connection().session().map(|session| (user, state, session)),
            Err(error) => Err(error),
        };
        let (user, state, session) = match found {
            Ok(found) => found,
            Err(error) => return self.fail(error).await,
        };
        self.held.close().await;
        complete(self.cx, &self.login, &self.held.lease, &user, &state, &session).await
    }

    /// A final error ends the login, a passing one is retried.
    pub(crate) async fn fail(self, error: LoginError) -> Result<(), JobError> {
        let (cx, number) = (self.cx, self.login.number);
        self.close().await;
        fail_or_retry(cx, number, &error).await
    }

    /// Closes the connection, sees the close, and gives the key back.
    pub(crate) async fn close(mut self) {
        self.held.close().await;
        self.cx.claims.give_back(&self.held.lease).await;
        self.held.given_back = true;
    }
}

/// Commits a step's transaction, if there is one.
pub(crate) async fn commit(tx: Option<Tx>) -> Result<(), JobError> {
    match tx {
        Some(tx) => Ok(tx.commit().await?),
        None => Ok(()),
    }
}

fn open_key(cx: &Context, number: LoginNumber, sealed: &str) -> Result<LoginKey, JobError> {
    let plain = cx.sealer.open(login_place(&number.to_string(), "sealed_key"), sealed).map_err(JobError::cancel)?;
    Ok(LoginKey(String::from_utf8(plain.expose().clone()).map_err(|_| JobError::cancel("the login's key is not text"))?))
}

async fn complete(
    cx: &Context,
    login: &Login,
    lease: &Lease,
    user: &SelfUser,
    state: &UpdateState,
    session: &StringSession,
) -> Result<(), JobError> {
    let mut tx = cx.store.begin().await?;
    leases::check(&mut tx, lease).await?;
    let Some(mut login) = logins::lock(&mut tx, login.number).await? else { return Ok(()) };
    let Some(stage) = login.stage.next(LoginEvent::Authorised) else { return Ok(()) };
    let (account, renewed) = accounts::upsert_authorised(&mut tx, login.client, login.project, user).await?;
    let text = session.encode();
    let sealed = cx.seal_session(account, text.expose());
    let fernet = cx.sealer.fernet(text.expose().as_bytes());
    accounts::store_session(&mut tx, account, &sealed, fernet.as_deref(), true).await?;
    // The state belongs to the Telegram user, not to the session: what a renewed account has missed since its last state is still to come.
    if !(renewed && accounts::renew_update_state(&mut tx, account, state).await?) {
        accounts::save_update_state(&mut tx, account, state).await?;
    }
    (login.stage, login.account, login.error) = (stage, Some(account), None);
    logins::save(&mut tx, &login).await?;
    tx.commit().await?;
    workers::announce(cx.store.pool(), &format!("account {account}")).await;
    tracing::info!(account = account.0, login = login.number.0, "login completed");
    Ok(())
}

async fn fail_or_retry(cx: &Context, number: LoginNumber, error: &LoginError) -> Result<(), JobError> {
    let text = match error {
        LoginError::Connection(_) => return Err(JobError::retry(error)),
        LoginError::Unusable(_) => "Не удалось прочитать ответ Telegram: начните вход заново".to_owned(),
        LoginError::Rpc(rpc) => match rpc.name.as_str() {
            "API_ID_INVALID" | "API_ID_PUBLISHED_FLOOD" => AccountTrouble::Application.text(),
            "FLOOD_WAIT" | "FLOOD_PREMIUM_WAIT" | "PHONE_PASSWORD_FLOOD" => too_many_attempts(rpc.value),
            _ if rpc.code >= 500 || rpc.code < 0 => return Err(JobError::retry(error)),
            _ => format!("Telegram отказал во входе ({})", rpc.name),
        },
    };
    tracing::warn!(login = number.0, %error, "login failed");
    let mut tx = cx.store.begin().await?;
    if let Some(mut login) = logins::lock(&mut tx, number).await?
        && let Some(stage) = login.stage.next(LoginEvent::Failed)
    {
        (login.stage, login.error) = (stage, Some(text));
        logins::save(&mut tx, &login).await?;
    }
    Ok(tx.commit().await?)
}

/// What the portal shows for a flood wait.
pub(crate) fn too_many_attempts(seconds: Option<u32>) -> String {
    match seconds {
        Some(seconds) => format!("Слишком много попыток: повторите через {seconds} с"),
        None => "Слишком много попыток: повторите позже".to_owned(),
    }
}

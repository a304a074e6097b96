//! `poll-login`: waits for the scan a while, renews the QR code when its token expires, follows the scan to its end. Enqueues itself.

use crate::context::Context;
use crate::login::{Step, commit};
use crate::start_login::{LOGIN_POLICY, login_key};
use crate::{Job, JobError, Policy, Subject, Unique, enqueue};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::Instant;
use tuberry_domain::LoginNumber;
use tuberry_domain::login::{LoginEvent, LoginStage};
use tuberry_domain::ports::{Export, LoginError};
use tuberry_storage::logins;

/// How long one run waits for the scan.
const PATIENCE: Duration = Duration::from_secs(25);

/// Between two exports.
const PAUSE: Duration = Duration::from_millis(500);

/// How often a cancellation is looked for meanwhile.
const GLANCE: Duration = Duration::from_secs(2);

/// The job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PollLogin {
    /// The login.
    pub login: LoginNumber,
    /// Number of the run, from 1.
    pub step: u32,
}

impl Job<Context> for PollLogin {
    const KIND: &'static str = "poll-login";
    const POLICY: Policy = LOGIN_POLICY;

    fn ordering_key(&self) -> Option<String> {
        login_key(self.login)
    }

    fn unique_key(&self) -> Option<Unique> {
        Some(Unique::WhileLive(format!("{}:{}", self.login, self.step)))
    }

    fn subject(&self) -> Subject {
        Subject::Login(self.login)
    }

    async fn run(self, cx: &Context) -> Result<(), JobError> {
        let Some(step) = Step::open(cx, self.login, &[LoginStage::Ready, LoginStage::Scanned]).await? else { return Ok(()) };
        step.run(|step| self.follow(cx, step)).await
    }
}

impl PollLogin {
    /// Exports the token again and again, until the scan, the login's end, or the end of this run.
    async fn follow(self, cx: &Context, mut step: Step<'_>) -> Result<(), JobError> {
        let end = Instant::now() + PATIENCE;
        let next = Self { login: self.login, step: self.step + 1 };
        loop {
            if step.login.expires_at <= Utc::now() {
                let tx = step.store(LoginEvent::TimeOut, |_| {}).await?;
                step.close().await;
                return commit(tx).await;
            }
            let expires_at = match step.connection().export().await {
                Ok(Export::Token { url, expires_at }) => {
                    if !store_token(&mut step, url, expires_at).await? {
                        step.close().await;
                        return Ok(());
                    }
                    expires_at
                }
                exported => return absorb(step, exported, next).await,
            };
            if Instant::now() >= end {
                return hand_over(step, next).await;
            }
            if !wait_for_scan(cx, &mut step, expires_at, end).await? {
                step.close().await;
                return Ok(());
            }
        }
    }
}

/// Waits for a scan, the token's end, the login's end, or the end of this run. False: the login was cancelled meanwhile.
async fn wait_for_scan(cx: &Context, step: &mut Step<'_>, token_ends: DateTime<Utc>, end: Instant) -> Result<bool, JobError> {
    loop {
        let left = |until: DateTime<Utc>| (until - Utc::now()).to_std().unwrap_or_default();
        let until = left(token_ends).min(left(step.login.expires_at)).min(end.saturating_duration_since(Instant::now()));
        if until.is_zero() {
            // Clocks differ: a token that seems to have ended at once must not be asked for again and again.
            step.connection().wait(PAUSE).await;
            return Ok(true);
        }
        let began = Instant::now();
        let slice = until.min(GLANCE);
        step.connection().wait(slice).await;
        if began.elapsed() < slice {
            return Ok(true);
        }
        let stage = logins::load(cx.store.pool(), step.login.number).await?.map(|login| login.stage);
        if stage.is_none_or(LoginStage::is_final) {
            return Ok(false);
        }
    }
}

/// Stores a token that is new. False: the login has ended.
async fn store_token(step: &mut Step<'_>, url: String, expires_at: DateTime<Utc>) -> Result<bool, JobError> {
    let sealed = step.seal_url(&url);
    let tx = step
        .store(LoginEvent::TokenExported, |login| {
            login.sealed_url = Some(sealed);
            login.token_expires_at = Some(expires_at);
        })
        .await?;
    let alive = tx.is_some();
    commit(tx).await?;
    Ok(alive)
}

/// The next run goes on, in whichever process.
async fn hand_over(mut step: Step<'_>, next: PollLogin) -> Result<(), JobError> {
    let tx = step.store(LoginEvent::TokenExported, |_| {}).await?;
    step.close().await;
    let Some(mut tx) = tx else { return Ok(()) };
    enqueue(&mut tx, &next).await?;
    Ok(tx.commit().await?)
}

/// What follows from an export: the next run, the password, or the account.
pub(crate) async fn absorb(mut step: Step<'_>, exported: Result<Export, LoginError>, next: PollLogin) -> Result<(), JobError> {
    match exported {
        Ok(Export::Token { url, expires_at }) => {
            let sealed = step.seal_url(&url);
            let tx = step
                .store(LoginEvent::TokenExported, |login| {
                    login.sealed_url = Some(sealed);
                    login.token_expires_at = Some(expires_at);
                })
                .await?;
            step.close().await;
            let Some(mut tx) = tx else { return Ok(()) };
            enqueue(&mut tx, &next).await?;
            Ok(tx.commit().await?)
        }
        Ok(Export::Authorised) => step.complete().await,
        Ok(Export::PasswordWanted { parameters, hint }) => {
            let stored = step.want_password(parameters, hint, None).await;
            step.close().await;
            stored
        }
        Err(error) => step.fail(error).await,
    }
}

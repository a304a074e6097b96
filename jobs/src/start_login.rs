//! `start-login`: connects with a new key, exports the login token, and stores the QR code's URL.

use crate::context::Context;
use crate::login::Step;
use crate::poll_login::{PollLogin, absorb};
use crate::{Job, JobError, Policy, Subject};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tuberry_domain::LoginNumber;
use tuberry_domain::login::LoginStage;

/// The job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StartLogin {
    /// The login.
    pub login: LoginNumber,
}

/// Steps of a login follow each other quickly: somebody is looking at the screen.
pub(crate) const LOGIN_POLICY: Policy = Policy {
    max_attempts: Some(30),
    deadline: Some(Duration::from_secs(900)),
    timeout: Duration::from_secs(60),
    backoff: crate::Backoff { base: Duration::from_millis(500), cap: Duration::from_secs(5) },
    concurrency: 64,
    ..Policy::DEFAULT
};

/// The ordering key of all jobs of a login.
pub(crate) fn login_key(login: LoginNumber) -> Option<String> {
    Some(format!("login:{login}"))
}

impl Job<Context> for StartLogin {
    const KIND: &'static str = "start-login";
    const POLICY: Policy = LOGIN_POLICY;

    fn ordering_key(&self) -> Option<String> {
        login_key(self.login)
    }

    fn subject(&self) -> Subject {
        Subject::Login(self.login)
    }

    async fn run(self, cx: &Context) -> Result<(), JobError> {
        let Some(step) = Step::open(cx, self.login, &[LoginStage::Starting]).await? else { return Ok(()) };
        step.run(async |mut step| {
            let exported = step.connection().export().await;
            absorb(step, exported, PollLogin { login: self.login, step: 1 }).await
        })
        .await
    }
}

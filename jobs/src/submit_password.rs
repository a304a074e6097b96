//! `submit-password`: `auth.checkPassword` with the SRP proof that the API computed.

use crate::context::Context;
use crate::login::{Step, too_many_attempts};
use crate::start_login::{LOGIN_POLICY, login_key};
use crate::{Job, JobError, Policy, Subject};
use serde::{Deserialize, Serialize};
use tuberry_domain::LoginNumber;
use tuberry_domain::login::{LoginStage, WRONG_PASSWORD};
use tuberry_domain::ports::LoginError;

/// The job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SubmitPassword {
    /// The login, whose row holds the proof.
    pub login: LoginNumber,
}

impl Job<Context> for SubmitPassword {
    const KIND: &'static str = "submit-password";
    const POLICY: Policy = LOGIN_POLICY;

    fn ordering_key(&self) -> Option<String> {
        login_key(self.login)
    }

    fn subject(&self) -> Subject {
        Subject::Login(self.login)
    }

    async fn run(self, cx: &Context) -> Result<(), JobError> {
        let Some(step) = Step::open(cx, self.login, &[LoginStage::CheckingPassword]).await? else { return Ok(()) };
        step.run(check).await
    }
}

/// Shows Telegram the proof.
async fn check(mut step: Step<'_>) -> Result<(), JobError> {
    let Some(proof) = step.login.proof.clone() else {
        return ask_again(step, None).await;
    };
    match step.connection().check_password(&proof).await {
        Ok(()) => step.complete().await,
        Err(LoginError::Rpc(error)) => match error.name.as_str() {
            // A run before this one may have been killed after Telegram had accepted: then the same proof is no longer valid.
            "PASSWORD_HASH_INVALID" | "SRP_ID_INVALID" | "SRP_PASSWORD_CHANGED" if step.connection().identity().await.is_ok() => {
                step.complete().await
            }
            "PASSWORD_HASH_INVALID" => ask_again(step, Some(WRONG_PASSWORD.to_owned())).await,
            "SRP_ID_INVALID" | "SRP_PASSWORD_CHANGED" => ask_again(step, None).await,
            "PHONE_PASSWORD_FLOOD" | "FLOOD_WAIT" | "FLOOD_PREMIUM_WAIT" => {
                ask_again(step, Some(too_many_attempts(error.value))).await
            }
            _ => step.fail(LoginError::Rpc(error)).await,
        },
        Err(error) => step.fail(error).await,
    }
}

/// Back to `password_required` with fresh parameters. Without an `error` the API, which still holds the password, tries once more by itself.
async fn ask_again(mut step: Step<'_>, error: Option<String>) -> Result<(), JobError> {
    match step.connection().password().await {
        Ok((parameters, hint)) => {
            let stored = step.want_password(parameters, hint, error.as_deref()).await;
            step.close().await;
            stored
        }
        Err(error) => step.fail(error).await,
    }
}

//! An account that will not send any more: marked, its key wiped, its waiting replies failed with the reason in their topics.

use crate::meters::{self, Direction};
use crate::send_reply::{SendReply, announce_failure};
use crate::{Job, queue};
use chrono::{DateTime, Utc};
use tuberry_domain::AccountId;
use tuberry_domain::account::AccountProblem;
use tuberry_storage::{Result, Tx, accounts, replies};

/// Takes an account out of service for a terminal problem of the session of `session_from`. Nothing happens when a newer login has replaced it.
pub async fn account_ended(tx: &mut Tx, account: AccountId, session_from: DateTime<Utc>, problem: AccountProblem) -> Result<()> {
    if !accounts::mark_problem(tx, account, session_from, problem.text()).await? {
        return Ok(());
    }
    tracing::warn!(account = account.0, ?problem, "account out of service");
    fail_waiting_replies(tx, account, problem.text()).await
}

/// Fails the waiting replies of an account; each is answered in its topic with `reason`.
pub async fn fail_waiting_replies(tx: &mut Tx, account: AccountId, reason: &str) -> Result<()> {
    let failed = replies::fail_waiting(tx, account, reason).await?;
    for &message in &failed {
        announce_failure(tx, message).await?;
    }
    meters::failed(Direction::Out, failed.len());
    queue::cancel_waiting(tx, <SendReply as Job<crate::Context>>::KIND, account, reason).await?;
    Ok(())
}

//! What Telegram does not let an account do for now, noted for its owner.

use crate::context::Context;
use chrono::{DateTime, Duration, Utc};
use tuberry_domain::AccountId;
use tuberry_domain::account::AccountTrouble;
use tuberry_domain::reaction::RpcError;
use tuberry_storage::restrictions;

/// Telegram does not say for how long an account is frozen: a reply tries again after so many hours, and until then none does.
const FROZEN_HOURS: i64 = 1;

/// How long the owner is told that Telegram refused a new chat, in hours.
const NEW_CHATS_HOURS: i64 = 24;

/// Notes the restriction that an error answering a message tells of, if it does. Where that fails, the owner reads it after the next error.
pub(crate) async fn note(cx: &Context, account: AccountId, error: &RpcError) {
    let now = Utc::now();
    let Some(trouble) = error.restriction(now) else { return };
    let (kind, until): (&str, DateTime<Utc>) = match trouble {
        AccountTrouble::SendingWaits(until) => ("sending-waits", until),
        AccountTrouble::Frozen => (restrictions::FROZEN, now + Duration::hours(FROZEN_HOURS)),
        _ => ("new-chats-refused", now + Duration::hours(NEW_CHATS_HOURS)),
    };
    tracing::warn!(account = account.0, %error, %until, "account restricted by Telegram");
    if let Err(error) = restrictions::note(cx.store.pool(), account, kind, &trouble.text(), until).await {
        tracing::warn!(account = account.0, %error, "restriction not noted");
    }
}

//! Whether the configured secrets open the sessions that are stored: before anything else tries.

use super::{Finding, Patient, in_time};
use tuberry_domain::AccountId;
use tuberry_jobs::context::session_place;
use tuberry_storage::{Store, diagnosis};

const CHECK: &str = "sessions";
/// So many accounts are named.
const NAMED: usize = 10;

pub(super) async fn look(patient: &Patient, store: &Store) -> Finding {
    if patient.lacks("APP_SECRET") {
        return Finding::skipped(CHECK, "there is no secret to open them with");
    }
    // Before the first migration there are none of ours.
    let (old, own) = tokio::join!(in_time(diagnosis::old_sessions(store)), in_time(diagnosis::own_sessions(store)));
    let stored: Vec<(AccountId, String)> = match (old, own) {
        (Err(error), Err(_)) => return Finding::skipped(CHECK, error),
        (old, own) => old.into_iter().chain(own).flatten().collect(),
    };
    let sealer = patient.settings.sessions.sealer();
    let closed = stored.iter().filter(|(account, sealed)| sealer.open(session_place(&account.to_string()), sealed).is_err());
    let mut closed: Vec<i32> = closed.map(|(account, _)| account.0).collect();
    closed.sort_unstable();
    closed.dedup();
    if closed.is_empty() {
        return Finding::fine(CHECK, format!("{} open with the configured secrets", stored.len()));
    }
    let named: Vec<String> = closed.iter().take(NAMED).map(i32::to_string).collect();
    let more = if closed.len() > NAMED { " and others" } else { "" };
    Finding::wrong(
        CHECK,
        format!("those of the accounts {}{more} do not open: they were sealed under another secret", named.join(", ")),
        "set that one as PERSONAL_TELEGRAM_SESSION_SECRET or APP_SECRET, or add it to PERSONAL_TELEGRAM_SESSION_SECRET_PREVIOUS",
    )
}

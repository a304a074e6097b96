//! What a check says.

use serde::Serialize;
use std::fmt::Display;
use std::time::Duration;
use tokio::time::timeout;

/// Longest wait for whatever is asked.
const PATIENCE: Duration = Duration::from_secs(10);

/// How it is with what was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Works, but somebody should know.
    Note,
    /// Has to be mended.
    Wrong,
    /// Could not be looked at.
    Skipped,
}

/// One line of the doctor's.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What was checked.
    pub check: String,
    /// How it is.
    pub state: State,
    /// What was found.
    pub says: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Finding {
    fn new(check: impl Into<String>, state: State, says: impl Into<String>, mend: Option<String>) -> Self {
        Self { check: check.into(), state, says: says.into(), mend }
    }

    pub(super) fn fine(check: impl Into<String>, says: impl Into<String>) -> Self {
        Self::new(check, State::Ok, says, None)
    }

    pub(super) fn note(check: impl Into<String>, says: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(check, State::Note, says, Some(mend.into()))
    }

    pub(super) fn wrong(check: impl Into<String>, says: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(check, State::Wrong, says, Some(mend.into()))
    }

    pub(super) fn skipped(check: impl Into<String>, says: impl Into<String>) -> Self {
        Self::new(check, State::Skipped, says, None)
    }
}

/// The answer, or what is to be said of its absence.
pub(super) async fn in_time<T, E: Display>(asked: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    match timeout(PATIENCE, asked).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

/// How far another clock is from ours, as a finding.
pub(super) fn clock(whose: &str, difference: chrono::Duration) -> Finding {
    /// From here on it is no delay of the network and no rounding.
    const MOST: i64 = 5;
    let check = format!("clock of {whose}");
    let seconds = difference.num_seconds();
    if seconds.abs() <= MOST {
        return Finding::fine(check, "the same as ours, within 5 s");
    }
    let how = if seconds > 0 { "ahead of" } else { "behind" };
    Finding::wrong(check, format!("{} s {how} ours", seconds.abs()), "run NTP on both hosts; let it slew the clock, not step it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_wrong_in_one_direction_or_the_other() {
        let of = |seconds| clock("Telegram", chrono::Duration::seconds(seconds));
        assert_eq!((of(5).state, of(-5).state), (State::Ok, State::Ok));
        assert_eq!((of(90).state, of(90).says.as_str()), (State::Wrong, "90 s ahead of ours"));
        assert_eq!((of(-6).state, of(-6).says.as_str()), (State::Wrong, "6 s behind ours"));
    }
}

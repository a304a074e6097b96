//! How long is kept what has served: durations like `7d`, `12h`, `1d12h`.

use super::{Environment, Refusals, Refused};
use std::time::Duration;
use tuberry_jobs::Retention;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const LONGEST: Duration = Duration::from_secs(3650 * 86_400);

pub(super) fn read(environment: &Environment<'_>, refused: &mut Refusals) -> Retention {
    let default = Retention::default();
    let mut kept = |name, default, least| refused.or(duration(environment, name, default, least), default);
    Retention {
        done_jobs: kept("RETENTION_DONE_JOBS", default.done_jobs, HOUR),
        dead_jobs: kept("RETENTION_DEAD_JOBS", default.dead_jobs, HOUR),
        logins: kept("RETENTION_LOGINS", default.logins, HOUR),
        // Telegram repeats an update for a day.
        updates: kept("RETENTION_UPDATES", default.updates, 2 * DAY),
        statistics: kept("RETENTION_STATISTICS", default.statistics, DAY),
        audit: kept("RETENTION_AUDIT", default.audit, DAY),
    }
}

fn duration(environment: &Environment<'_>, name: &'static str, default: Duration, least: Duration) -> Result<Duration, Refused> {
    let Some(value) = environment.text(name) else { return Ok(default) };
    let refused = |reason| Refused { name, reason };
    let duration = parse(&value).ok_or_else(|| refused(format!("expected a duration like 7d or 12h, found «{value}»")))?;
    if !(least..=LONGEST).contains(&duration) {
        return Err(refused(format!("expected {}h to {}d, found «{value}»", least.as_secs() / 3600, LONGEST.as_secs() / 86_400)));
    }
    Ok(duration)
}

/// Numbers with units (`w`, `d`, `h`, `m`, `s`), added up.
fn parse(text: &str) -> Option<Duration> {
    let mut seconds = 0u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = match rest.as_bytes()[digits] {
            b'w' => 7 * 86_400,
            b'd' => 86_400,
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, seconds) in [("7d", 604_800), ("12h", 43_200), ("1d12h", 129_600), ("2w", 1_209_600), ("90m30s", 5430)] {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "7", "d", "7 d", "-1d", "1.5h", "0d", "7дней", "7d12", "99999999999999999999d", "9999999999999999999w"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_too_short_or_too_long_is_refused() {
        let given = |name: &'static str, value: &'static str| {
            let variable = move |asked: &str| (asked == name).then(|| value.to_owned());
            let mut refused = Refusals::default();
            let retention = read(&Environment(&variable), &mut refused);
            refused.settle(retention)
        };
        assert_eq!(given("RETENTION_DONE_JOBS", "").unwrap(), Retention::default());
        assert_eq!(given("RETENTION_DONE_JOBS", "12h").unwrap().done_jobs, Duration::from_secs(43_200));
        for (name, value) in [
            ("RETENTION_DONE_JOBS", "59m"),
            ("RETENTION_DEAD_JOBS", "a week"),
            ("RETENTION_UPDATES", "1d"),
            ("RETENTION_AUDIT", "4000d"),
        ] {
            assert_eq!(given(name, value).unwrap_err().0[0].name, name);
        }
    }
}

//! Variables that no setting has the name of: probably misspelt ones are refused, others that begin like ours are told of.
//!
//! Refusing all would not do: an existing deployment's environment may hold what other parts of Tuberry read, and orchestrators make
//! variables of their own (`WORKER_SERVICE_HOST`).

use super::{Refused, VARIABLES};

/// What names of ours begin with.
const PREFIXES: [&str; 3] = ["PERSONAL_TELEGRAM_", "WORKER_", "TUBERRY_"];
/// Shorter names resemble each other by chance, like `APP_SECRET` and `API_SECRET`.
const LEAST_LENGTH: usize = 11;
/// Changes of a character between a name and its misspelling.
const SLIPS: usize = 2;

/// One refusal for each setting that is not among `names` while nearly its name is. `names` are those of variables with a value.
pub fn typos(names: &[String]) -> Vec<Refused> {
    let mut refused = Vec::new();
    for name in names.iter().filter(|name| !is_known(name)) {
        if let Some(right) = meant(name, names) {
            refused.push(Refused { name: right, reason: format!("not set, but {name} is: a misspelling?") });
        }
    }
    refused
}

/// Names that begin like ours and mean nothing here.
pub fn ignored(names: &[String]) -> Vec<&str> {
    let ours = |name: &&str| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let strange = |name: &&str| !is_known(name) && meant(name, names).is_none();
    let mut ignored: Vec<&str> = names.iter().map(String::as_str).filter(ours).filter(strange).collect();
    ignored.sort_unstable();
    ignored
}

fn is_known(name: &str) -> bool {
    VARIABLES.iter().any(|variable| variable.name == name)
}

/// The setting that `name` resembles, unless that is among `names` itself.
fn meant(name: &str, names: &[String]) -> Option<&'static str> {
    let near = VARIABLES.iter().filter(|variable| variable.name.len() >= LEAST_LENGTH);
    let near = near.map(|variable| (slips(name, variable.name), variable.name)).filter(|(slips, _)| *slips <= SLIPS);
    near.min().map(|(_, name)| name).filter(|right| !names.iter().any(|name| name == right))
}

/// Levenshtein's distance between two names.
fn slips(one: &str, other: &str) -> usize {
    let other = other.as_bytes();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, &byte) in one.as_bytes().iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &opposite) in other.iter().enumerate() {
            let changed = diagonal + usize::from(byte != opposite);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_misspelt_name_is_refused_with_the_right_one() {
        for (wrong, right) in [
            ("WORKER_LISTENS", "WORKER_LISTEN"),
            ("PERSONAL_TELEGRAM_APP_ID", "PERSONAL_TELEGRAM_API_ID"),
            ("PERSONAL_TELEGRAM_SESION_SECRET", "PERSONAL_TELEGRAM_SESSION_SECRET"),
            ("WEBHOOK_BASE_URI", "WEBHOOK_BASE_URL"),
            ("DATABASE_DIRECTURL", "DATABASE_DIRECT_URL"),
        ] {
            let refused = typos(&names(&["DATABASE_URL", wrong]));
            assert_eq!(refused.len(), 1, "{wrong}");
            assert_eq!(refused[0].to_string(), format!("{right}: not set, but {wrong} is: a misspelling?"));
        }
    }

    #[test]
    fn what_other_programs_read_is_not_refused() {
        let foreign = names(&[
            "API_SECRET",
            "REDIS_URI",
            "PATH",
            "LISTEN_FDS",
            "WORKER_SERVICE_HOST",
            "WORKER_CONCURRENCY",
            "TELEGRAM_BOT_TOKEN",
        ]);
        assert!(typos(&foreign).is_empty(), "{:?}", typos(&foreign));
        assert_eq!(ignored(&foreign), ["WORKER_CONCURRENCY", "WORKER_SERVICE_HOST"]);
        // Beside the right one it is somebody else's.
        assert!(typos(&names(&["DATABASE_URL", "DATABASE_URI"])).is_empty());
    }
}

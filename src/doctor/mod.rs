//! `tuberry doctor`: looks for what is wrong with an installation. Each check stands for itself, ends in time, changes nothing, and tells
//! how to mend what it finds. No secret is told.

mod bots;
mod database;
mod finding;
mod redis;
mod sessions;
mod telegram;

pub use finding::{Finding, State};

use crate::config::{self, Refused, Settings};
use finding::in_time;
use tuberry_domain::Secret;
use tuberry_telegram::{Application, HttpBotApi};

/// What is looked at.
pub struct Patient {
    /// The settings, as far as they can be used.
    pub settings: Settings,
    /// Why the others cannot.
    pub refused: Vec<Refused>,
    /// Names of the environment's variables.
    pub names: Vec<String>,
    /// `REDIS_URL`, whether a bridge uses it or not.
    pub redis_url: Option<Secret<String>>,
    /// As which application we appear at Telegram.
    pub application: Application,
}

impl Patient {
    fn lacks(&self, name: &str) -> bool {
        self.refused.iter().any(|refused| refused.name == name)
    }
}

/// All findings, in the order in which they are best read.
pub async fn examine(patient: &Patient) -> Vec<Finding> {
    let mut findings = configuration(patient);
    let ((of_database, store), of_redis, of_telegram) =
        tokio::join!(database::look(patient), redis::look(patient), telegram::look(patient));
    findings.extend(of_database);
    match &store {
        Some(store) => {
            findings.push(sessions::look(patient, store).await);
            findings.extend(database::leases(store).await);
        }
        None => findings.push(Finding::skipped("leases", "there is no database to ask")),
    }
    findings.extend(of_redis);
    let deaf = of_telegram.iter().any(|finding| finding.check == telegram::BOT_API && finding.state == State::Wrong);
    findings.extend(of_telegram);
    match (&store, HttpBotApi::new(&patient.settings.telegram.bot_api_base)) {
        (None, _) => findings.push(Finding::skipped("bots", "there is no database to ask")),
        // Each would take its time.
        (Some(_), _) if deaf => findings.push(Finding::skipped("bots", "the Bot API does not answer")),
        (Some(store), Ok(api)) => findings.extend(bots::look(patient, store, &api).await),
        (_, Err(error)) => findings.push(Finding::skipped("bots", format!("no HTTP client: {error}"))),
    }
    findings
}

fn configuration(patient: &Patient) -> Vec<Finding> {
    const CHECK: &str = "configuration";
    let mut findings: Vec<Finding> = patient
        .refused
        .iter()
        .map(|refused| Finding::wrong(CHECK, refused.to_string(), "correct it in the environment; docs/operations.md lists all"))
        .collect();
    for name in config::ignored(&patient.names) {
        findings.push(Finding::note(CHECK, format!("{name}: no setting has this name, it is ignored"), "remove it"));
    }
    if findings.is_empty() {
        findings.push(Finding::fine(CHECK, "every setting can be used"));
    }
    findings
}

//! `/admin/jobs`: what the queue does, and hands on it. The platform's administrator sees all jobs, owners and admins those of their tenant; the
//! buttons call the REST interface, which leaves the audit rows.

mod actions;
mod audits;
mod chart;
mod dashboard;
mod filter;
mod kinds;
mod page;

pub(super) use dashboard::{live as live_dashboard, show as dashboard};
pub(super) use page::{live as live_page, show};

use super::texts::Language;
use super::visitor::Visitor;
use maud::{Markup, html};
use tuberry_jobs::KINDS;
use tuberry_jobs::queue::pages::State;

/// Every state with its name in the interface and its text.
const STATES: [(State, &str, &str); 6] = [
    (State::Ready, "ready", "state-ready"),
    (State::Held, "held", "state-held"),
    (State::Scheduled, "scheduled", "state-scheduled"),
    (State::Running, "running", "state-running"),
    (State::Done, "done", "state-done"),
    (State::Dead, "dead", "state-dead"),
];

fn state_mark(visitor: &Visitor, state: State) -> Markup {
    let kind = match state {
        State::Dead => "bad",
        State::Done => "good",
        State::Running => "warn",
        State::Ready | State::Held | State::Scheduled => "",
    };
    let text = STATES.iter().find(|(known, _, _)| *known == state).map_or("", |(_, _, text)| text);
    html! { span class={ "mark " (kind) } { (visitor.text(text)) } }
}

/// What a kind does; the name of one that this version does not know.
pub(super) fn kind_name(language: Language, kind: &str) -> String {
    if KINDS.contains(&kind) { language.text(&format!("kind-{kind}")) } else { kind.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_in_both_languages() {
        for language in [Language::Russian, Language::English] {
            for kind in KINDS {
                let name = kind_name(language, kind);
                assert!(!name.starts_with("kind-"), "{name}");
            }
        }
    }
}

//! Which jobs the dashboard lists, as its form sends it.

use super::{STATES, kind_name};
use crate::web::parts;
use crate::web::visitor::Operator;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};
use tuberry_jobs::queue::pages::{Filter, KindCounts, State};

/// Longest text to look for in errors, in characters.
const ERROR_LIMIT: usize = 200;

/// The hours that the chart can show: as long as finished jobs are kept.
const HOURS: [u32; 4] = [1, 6, 24, 168];

/// The form's fields. What does not fit filters nothing.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::web) struct Asked {
    kind: String,
    state: String,
    account: String,
    dialog: String,
    error: String,
    hours: String,
    cursor: String,
}

impl Asked {
    pub fn filter(&self) -> Filter {
        let plain = |text: &str| Some(text.trim().replace('\0', "")).filter(|text| !text.is_empty());
        Filter {
            kind: plain(&self.kind),
            state: STATES.iter().find(|(_, name, _)| *name == self.state).map(|(state, _, _)| *state),
            account: parts::row_id(&self.account),
            dialog: parts::row_id(&self.dialog),
            error: plain(&self.error).map(|error| error.chars().take(ERROR_LIMIT).collect()),
            ..Filter::default()
        }
    }

    pub fn is_narrow(&self) -> bool {
        let filter = self.filter();
        filter.kind.is_some()
            || filter.state.is_some()
            || filter.account.is_some()
            || filter.dialog.is_some()
            || filter.error.is_some()
    }

    /// The id of the last job of the page before; `None` on the first page.
    pub fn after(&self) -> Option<&str> {
        let fits = self.cursor.len() == 26 && self.cursor.bytes().all(|byte| byte.is_ascii_alphanumeric());
        fits.then_some(self.cursor.as_str())
    }

    pub fn hours(&self) -> u32 {
        self.hours.parse().ok().filter(|hours| HOURS.contains(hours)).unwrap_or(6)
    }

    /// The same filter as `POST /api/jobs/retry` takes it.
    pub fn order(&self) -> Value {
        let filter = self.filter();
        json!({ "kind": filter.kind, "account_id": filter.account, "dialog_id": filter.dialog, "error": filter.error })
    }

    fn link(&self, changes: &[(&str, &str)]) -> String {
        let fields = [
            ("kind", self.kind.as_str()),
            ("state", &self.state),
            ("account", &self.account),
            ("dialog", &self.dialog),
            ("error", &self.error),
            ("hours", &self.hours),
            ("cursor", ""),
        ];
        let changed =
            fields.map(|(name, value)| changes.iter().find(|(other, _)| *other == name).copied().unwrap_or((name, value)));
        parts::link("/admin/jobs", &changed)
    }

    /// The page behind the job with this id; empty: the first one.
    pub fn page(&self, cursor: &str) -> String {
        self.link(&[("cursor", cursor)])
    }

    /// Jobs of one kind in one state, whatever else is asked for now.
    pub fn only(kind: &str, state: &str) -> String {
        parts::link("/admin/jobs", &[("kind", kind), ("state", state)])
    }

    /// The spans of time to choose from.
    pub fn windows(&self, operator: &Operator) -> Markup {
        html! {
            nav.row aria-label=(operator.visitor.text("chart-window")) {
                @for hours in HOURS {
                    @let text = operator.visitor.language.text_with("hours", &[("count", hours.into())]);
                    a.tab href=(self.link(&[("hours", &hours.to_string())])) aria-current=[(hours == self.hours()).then_some("true")] { (text) }
                }
            }
        }
    }

    pub fn form(&self, operator: &Operator, kinds: &[KindCounts]) -> Markup {
        let text = |id: &str| operator.visitor.text(id);
        let filter = self.filter();
        let chosen = filter.kind.as_deref();
        let mut names: Vec<&str> =
            kinds.iter().map(|kind| kind.kind.as_str()).chain(tuberry_jobs::KINDS.iter().copied()).collect();
        names.sort_unstable();
        names.dedup();
        html! {
            form.filters method="get" action="/admin/jobs" role="search" {
                input type="hidden" name="hours" value=(self.hours());
                label { span { (text("kind")) }
                    select name="kind" {
                        option value="" { (text("all")) }
                        @for kind in names { option value=(kind) selected[chosen == Some(kind)] { (kind_name(operator.visitor.language, kind)) } }
                    }
                }
                label { span { (text("state")) }
                    select name="state" {
                        option value="" { (text("all")) }
                        @for (state, name, id) in STATES { option value=(name) selected[filter.state == Some(state)] { (text(id)) } }
                    }
                }
                label { span { (text("account-number")) } input name="account" inputmode="numeric" maxlength="10" value=(shown(filter.account)) autocomplete="off"; }
                label { span { (text("dialog-number")) } input name="dialog" inputmode="numeric" maxlength="10" value=(shown(filter.dialog)) autocomplete="off"; }
                label { span { (text("error-text")) } input type="search" name="error" maxlength=(ERROR_LIMIT) value=(filter.error.as_deref().unwrap_or_default()) autocomplete="off"; }
                button type="submit" { (text("apply")) }
            }
        }
    }

    /// Dead jobs are among those that are asked for.
    pub fn shows_dead(&self) -> bool {
        matches!(self.filter().state, None | Some(State::Dead))
    }
}

fn shown(id: Option<i32>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_filters_nothing() {
        let odd = Asked {
            kind: " ".into(),
            state: "asleep".into(),
            account: "-1".into(),
            dialog: "9999999999".into(),
            error: "\0".into(),
            hours: "0".into(),
            cursor: "x".into(),
        };
        assert!(!odd.is_narrow() && odd.after().is_none() && odd.hours() == 6);
        assert_eq!(odd.order(), json!({ "kind": null, "account_id": null, "dialog_id": null, "error": null }));
    }

    #[test]
    fn links_keep_the_filter_and_leave_the_page() {
        let asked = Asked { kind: "send-reply".into(), cursor: "X".repeat(26), ..Asked::default() };
        assert_eq!(asked.link(&[("hours", "1")]), "/admin/jobs?kind=send-reply&hours=1");
        assert_eq!(asked.page("A"), "/admin/jobs?kind=send-reply&cursor=A");
    }
}

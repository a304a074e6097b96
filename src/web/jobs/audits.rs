//! What people did lately.

use super::kind_name;
use crate::web::parts;
use crate::web::visitor::Visitor;
use maud::{Markup, html};
use tuberry_jobs::queue::audits::Entry;

/// The entries; `link`: with the jobs that they are about.
pub(super) fn list(visitor: &Visitor, entries: &[Entry], link: bool) -> Markup {
    html! {
        @if entries.is_empty() { p.muted { (visitor.text("no-audit")) } }
        @else { ul.list { @for entry in entries { li.entry { (line(visitor, entry, link)) } } } }
    }
}

fn line(visitor: &Visitor, entry: &Entry, link: bool) -> Markup {
    let action = match entry.action.as_str() {
        "retry" => visitor.text("audit-retry"),
        "retry_all" => visitor.language.text_with("audit-retry-all", &[("count", entry.affected.into())]),
        "cancel" => visitor.text("audit-cancel"),
        "run_now" => visitor.text("audit-run-now"),
        "delete" => visitor.text("audit-delete"),
        "pause" => visitor.text("audit-pause"),
        "resume" => visitor.text("audit-resume"),
        other => other.to_owned(),
    };
    let detail = |name: &str| entry.details.get(name).and_then(|value| value.as_str());
    html! {
        div.row.spread {
            span {
                (action)
                @if let Some(kind) = detail("kind") { ": " (kind_name(visitor.language, kind)) }
                @if entry.affected == 0 { " " span.muted { (visitor.text("audit-nothing")) } }
            }
            span.muted.small { (parts::ago(entry.at)) }
        }
        @if let Some(reason) = detail("reason") { div.small { (parts::beginning(reason, 200)) } }
        div.hint {
            (entry.user.clone().unwrap_or_else(|| visitor.text("audit-somebody")))
            @if let Some(job) = entry.job.as_deref().filter(|_| link) { " · " a href={ "/admin/jobs/" (job) } { code { (job) } } }
        }
    }
}

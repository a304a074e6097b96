//! The kinds of jobs: how many are where, and the switch that pauses one.

use super::actions::{Action, button};
use super::filter::Asked;
use super::kind_name;
use crate::web::visitor::Operator;
use maud::{Markup, html};
use tuberry_jobs::KINDS;
use tuberry_jobs::queue::pages::KindCounts;

/// Kinds that have jobs that wait, run or died; for the platform's administrator, who may pause them, all.
pub(super) fn table(operator: &Operator, kinds: &[KindCounts]) -> Markup {
    let visitor = &operator.visitor;
    let mut kinds = kinds.to_vec();
    if visitor.is_platform() {
        let idle = KINDS
            .iter()
            .filter(|kind| !kinds.iter().any(|counts| counts.kind == **kind))
            .map(|kind| idle(kind))
            .collect::<Vec<_>>();
        kinds.extend(idle);
    }
    kinds.sort_by_cached_key(|counts| kind_name(visitor.language, &counts.kind));
    let text = |id: &str| visitor.text(id);
    html! {
        @if kinds.is_empty() {
            div.card.empty { h2 { (text("no-jobs")) } p.muted { (text("no-jobs.help")) } }
        } @else {
            div.scroll tabindex="0" role="region" aria-label=(text("kinds")) {
                table {
                    thead { tr {
                        th scope="col" { (text("kind")) }
                        @for id in ["state-ready", "state-held", "state-scheduled", "state-running", "state-dead"] { th.number scope="col" { (text(id)) } }
                        @if visitor.is_platform() { th scope="col" { span.unseen { (text("actions")) } } }
                    } }
                    tbody { @for kind in &kinds { (row(operator, kind)) } }
                }
            }
        }
    }
}

/// A kind without jobs. Whether somebody runs it shows when it has some.
fn idle(kind: &str) -> KindCounts {
    KindCounts { kind: kind.to_owned(), ready: 0, held: 0, scheduled: 0, running: 0, dead: 0, known: true, paused: false }
}

fn row(operator: &Operator, kind: &KindCounts) -> Markup {
    let visitor = &operator.visitor;
    let name = kind_name(visitor.language, &kind.kind);
    let counts = [
        ("ready", kind.ready),
        ("held", kind.held),
        ("scheduled", kind.scheduled),
        ("running", kind.running),
        ("dead", kind.dead),
    ];
    html! {
        tr {
            th scope="row" {
                a href=(Asked::only(&kind.kind, "")) { (name) }
                @if kind.paused { " " span.mark.warn { (visitor.text("paused")) } }
                @if !kind.known { " " span.mark.bad { (visitor.text("no-process")) } }
            }
            @for (state, count) in counts {
                td.number { @if count == 0 { span.muted { "0" } } @else { a href=(Asked::only(&kind.kind, state)) { (count) } } }
            }
            @if visitor.is_platform() { td { (switch(operator, kind, &name)) } }
        }
    }
}

fn switch(operator: &Operator, kind: &KindCounts, name: &str) -> Markup {
    let visitor = &operator.visitor;
    let confirm = |id: &str| visitor.language.text_with(id, &[("kind", name.into())]);
    let (verb, label, question, done) = if kind.paused {
        ("resume", visitor.text("resume"), confirm("resume.confirm"), visitor.text("resumed"))
    } else {
        ("pause", visitor.text("pause"), confirm("pause.confirm"), visitor.text("paused-now"))
    };
    let url = format!("/api/jobs/kinds/{}/{verb}", kind.kind);
    button(&Action {
        id: &format!("switch-{}", kind.kind),
        url: &url,
        label: &label,
        question: &question,
        done: &done,
        plain: true,
        ..Action::default()
    })
}

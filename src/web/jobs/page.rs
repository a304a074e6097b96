//! One job: what it is about, what happened to it, what it waits for, and what somebody may do with it.

use super::actions::{self, Action, button};
use super::{audits, kind_name, state_mark};
use crate::http::AppState;
use crate::web::visitor::{Operator, Visitor};
use crate::web::{layout, live, parts};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use std::time::Duration;
use tuberry_domain::ClientId;
use tuberry_jobs::queue::LEASE;
use tuberry_jobs::queue::audits::Entry;
use tuberry_jobs::queue::pages::{self, Attempt, Detailed, State as Place, is_job_id};
use tuberry_storage::{Result, Store};

const AUDITS: i64 = 20;

/// Characters of an attempt's error.
const ERROR_SHOWN: usize = 400;

async fn read(store: &Store, client: Option<ClientId>, id: &str) -> Result<Option<(Detailed, Vec<Entry>)>> {
    let Some(job) = pages::read(store.pool(), client, id, LEASE).await? else { return Ok(None) };
    let audits = tuberry_jobs::queue::audits::of_job(store.pool(), client, id, AUDITS).await?;
    Ok(Some((job, audits)))
}

pub(in crate::web) async fn show(State(state): State<AppState>, operator: Operator, Path(id): Path<String>) -> Response {
    let visitor = &operator.visitor;
    if !is_job_id(&id) {
        return layout::not_found(visitor.language);
    }
    let (job, audits) = match read(&state.store, operator.client, &id).await {
        Ok(Some(shown)) => shown,
        Ok(None) => return layout::not_found(visitor.language),
        Err(error) => return layout::outage(visitor.language, &error),
    };
    let text = |id: &str| visitor.text(id);
    let name = kind_name(visitor.language, &job.job.kind);
    layout::page(
        visitor,
        &name,
        &["jobs.js"],
        html! {
            div {
                p.crumbs { a href="/admin/jobs" { (text("jobs")) } }
                h1 { (name) }
            }
            section.card #job data-live data-stream={ "/admin/jobs/" (id) "/live" } {
                (facts(&operator, &job))
                (buttons(visitor, &job))
            }
            section.card #timeline data-live { h2 { (text("timeline")) } (timeline(visitor, &job)) }
            section.card { h2 { (text("payload")) } pre { (job.job.payload) } }
            section.card #audits data-live { h2 { (text("audit")) } (audits::list(visitor, &audits, false)) }
            (actions::window(visitor))
        },
    )
    .into_response()
}

/// A change of what the page shows. A job that was deleted meanwhile is one, too.
pub(in crate::web) async fn live(State(state): State<AppState>, operator: Operator, Path(id): Path<String>) -> Response {
    if !is_job_id(&id) {
        return layout::not_found(operator.visitor.language);
    }
    match read(&state.store, operator.client, &id).await {
        Ok(Some(_)) => {}
        Ok(None) => return layout::not_found(operator.visitor.language),
        Err(error) => return layout::outage(operator.visitor.language, &error),
    }
    let shown = move || {
        let (store, client, id) = (state.store.clone(), operator.client, id.clone());
        async move { read(&store, client, &id).await.ok().map(|shown| parts::fingerprint(&shown)) }
    };
    live::stream(Duration::from_secs(1), shown).into_response()
}

fn facts(operator: &Operator, detailed: &Detailed) -> Markup {
    let visitor = &operator.visitor;
    let text = |id: &str| visitor.text(id);
    let job = &detailed.job;
    let attempts = match job.max_attempts {
        Some(most) => format!("{} / {most}", job.attempts),
        None => job.attempts.to_string(),
    };
    html! {
        div.row {
            (state_mark(visitor, job.state))
            @if job.cancel_asked && job.state == Place::Running { span.mark.warn { (text("cancel-asked")) } }
            @if detailed.kind_paused { span.mark.warn { (text("kind-paused")) } }
            @if !detailed.kind_known { span.mark.bad { (text("no-process")) } }
        }
        @if let Some(error) = job.error.as_deref().filter(|error| !error.is_empty()) { p.error { (visitor.language.said(error)) } }
        dl.facts {
            dt { (text("number")) } dd { code { (job.id) } }
            @if let (Some(client), None) = (job.client_id, operator.client) { dt { (text("client")) } dd { (client) } }
            @if let Some(account) = job.account_id { dt { (text("account-number")) } dd { (account) } }
            @if let Some(dialog) = job.dialog_id {
                dt { (text("dialog-number")) }
                dd { @if operator.client.is_some() { a href={ "/client/dialogs/" (dialog) } { (dialog) } } @else { (dialog) } }
            }
            dt { (text("enqueued")) } dd { (parts::exact(job.enqueued_at)) }
            @if job.state == Place::Scheduled { dt { (text("next-run")) } dd { (parts::exact(job.run_at)) } }
            @if let Some(finished) = job.finished_at { dt { (text("finished")) } dd { (parts::exact(finished)) } }
            @if let (Some(deadline), true) = (detailed.deadline, job.finished_at.is_none()) { dt { (text("deadline")) } dd { (parts::exact(deadline)) } }
            dt { (text("attempts")) } dd { (attempts) @if job.lost_leases > 0 { ", " (text("lost-leases")) ": " (job.lost_leases) } }
            @if let Some(key) = &job.ordering_key { dt { (text("ordering-key")) } dd { code { (key) } } }
            @if let Some(other) = &detailed.waits_for {
                dt { (text("waits-for")) } dd { a href={ "/admin/jobs/" (other) } { code { (other) } } }
            }
            @if let Some(account) = &job.affinity { dt { (text("runs-where")) } dd { (visitor.language.text_with("account-of", &[("number", account.as_str().into())])) } }
            @if let Some(request) = &detailed.request_id { dt { (text("request")) } dd { code { (request) } } }
        }
    }
}

fn buttons(visitor: &Visitor, detailed: &Detailed) -> Markup {
    let text = |id: &str| visitor.text(id);
    let (state, id) = (detailed.job.state, &detailed.job.id);
    let waits = matches!(state, Place::Ready | Place::Held | Place::Scheduled);
    let simple = |verb: &str, name: &str, done: &str| {
        let question = format!("{name}.confirm");
        button(&Action {
            id: verb,
            url: &format!("/api/jobs/{id}/{verb}"),
            label: &text(name),
            question: &text(&question),
            done: &text(done),
            danger: verb == "cancel",
            reason: verb == "cancel",
            ..Action::default()
        })
    };
    html! {
        div.row {
            @if state == Place::Dead { (simple("retry", "retry", "retried")) }
            @if state == Place::Scheduled { (simple("run-now", "run-now", "moved")) }
            @if waits || (state == Place::Running && !detailed.job.cancel_asked) { (simple("cancel", "cancel-job", "cancelled")) }
            @if state != Place::Running {
                (button(&Action {
                    id: "delete",
                    method: "DELETE",
                    url: &format!("/api/jobs/{id}"),
                    label: &text("delete"),
                    question: &text("delete.confirm"),
                    then: "/admin/jobs",
                    danger: true,
                    ..Action::default()
                }))
            }
        }
    }
}

fn timeline(visitor: &Visitor, detailed: &Detailed) -> Markup {
    html! {
        @if detailed.timeline.is_empty() { p.muted { (visitor.text("no-attempts")) } }
        @else { ol.list { @for attempt in detailed.timeline.iter().rev() { li.entry { (line(visitor, attempt)) } } } }
    }
}

fn line(visitor: &Visitor, attempt: &Attempt) -> Markup {
    let (kind, outcome) = match attempt.outcome.as_str() {
        "done" => ("good", "outcome-done"),
        "retry" => ("warn", "outcome-retry"),
        "snooze" => ("", "outcome-snooze"),
        "cancel" => ("bad", "outcome-cancel"),
        "lost" => ("bad", "outcome-lost"),
        _ => ("warn", "outcome-running"),
    };
    let took = attempt.ended_at.map(|ended| (ended - attempt.started_at).num_milliseconds().max(0));
    html! {
        div.row.spread {
            span.row { strong { (visitor.language.text_with("run", &[("number", attempt.run.to_string().into())])) } span class={ "mark " (kind) } { (visitor.text(outcome)) } }
            span.muted.small { (parts::exact(attempt.started_at)) @if let Some(took) = took { " · " (took) " " (visitor.text("milliseconds")) } }
        }
        @if let Some(error) = attempt.error.as_deref().filter(|error| !error.is_empty()) { div.failure { (parts::beginning(&visitor.language.said(error), ERROR_SHOWN)) } }
        @if let Some(worker) = &attempt.worker { div.hint { (worker) } }
    }
}

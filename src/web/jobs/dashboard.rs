//! The dashboard: throughput, kinds, the jobs that match, and what people did.

use super::actions::{self, Action, button};
use super::filter::Asked;
use super::{audits, chart, kind_name, kinds, state_mark};
use crate::http::AppState;
use crate::web::visitor::{Operator, Visitor};
use crate::web::{layout, live, parts};
use axum::extract::rejection::QueryRejection;
use axum::extract::{OriginalUri, Query, State};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use std::time::Duration;
use tuberry_jobs::queue::LEASE;
use tuberry_jobs::queue::audits::Entry;
use tuberry_jobs::queue::pages::{self, KindCounts, Listed, Throughput};
use tuberry_storage::{Result, Store};

const PAGE: usize = 50;
const AUDITS: i64 = 10;

struct Shown {
    jobs: Vec<Listed>,
    kinds: Vec<KindCounts>,
    throughput: Vec<Throughput>,
    audits: Vec<Entry>,
}

pub(in crate::web) async fn show(
    State(state): State<AppState>,
    operator: Operator,
    OriginalUri(uri): OriginalUri,
    asked: std::result::Result<Query<Asked>, QueryRejection>,
) -> Response {
    let Query(asked) = asked.unwrap_or_default();
    let visitor = &operator.visitor;
    let (since, span) = chart::window(asked.hours());
    let shown = match read(&state.store, &operator, &asked, since, span).await {
        Ok(shown) => shown,
        Err(error) => return layout::outage(visitor.language, &error),
    };
    let text = |id: &str| visitor.text(id);
    layout::page(
        visitor,
        &text("jobs"),
        &["jobs.js"],
        html! {
            div.heading { h1 { (text("jobs")) } (asked.windows(&operator)) }
            section.card #throughput data-live data-stream=[asked.after().is_none().then(|| parts::watched("/admin/jobs/live", &uri))] {
                h2 { (text("throughput")) }
                (chart::chart(&operator, &shown.throughput, since, span))
            }
            section #kinds data-live { (kinds::table(&operator, &shown.kinds)) }
            section.stack aria-labelledby="list" {
                h2 #list { (text("jobs-list")) }
                (asked.form(&operator, &shown.kinds))
                div.stack #jobs data-live { (list(&operator, &asked, &shown)) }
            }
            section.card #audits data-live { h2 { (text("audit")) } (audits::list(visitor, &shown.audits, true)) }
            (actions::window(visitor))
        },
    )
    .into_response()
}

/// A change of anything in the queue: the page may show something else.
pub(in crate::web) async fn live(State(state): State<AppState>, _: Operator) -> Response {
    let shown = move || {
        let store = state.store.clone();
        async move { tuberry_jobs::queue::lag::fingerprint(store.pool()).await.ok() }
    };
    live::stream(Duration::from_secs(2), shown).into_response()
}

async fn read(
    store: &Store,
    operator: &Operator,
    asked: &Asked,
    since: chrono::DateTime<chrono::Utc>,
    span: Duration,
) -> Result<Shown> {
    let (pool, filter) = (store.pool(), asked.filter());
    let mut throughput = pages::throughput(pool, operator.client, since, span).await?;
    throughput.retain(|span| filter.kind.as_deref().is_none_or(|kind| kind == span.kind));
    Ok(Shown {
        jobs: pages::list(pool, operator.client, &filter, asked.after(), PAGE as i64 + 1).await?,
        kinds: pages::counts(pool, operator.client, LEASE).await?,
        audits: tuberry_jobs::queue::audits::newest(pool, operator.client, AUDITS).await?,
        throughput,
    })
}

fn list(operator: &Operator, asked: &Asked, shown: &Shown) -> Markup {
    let visitor = &operator.visitor;
    let text = |id: &str| visitor.text(id);
    let more = shown.jobs.len() > PAGE;
    let jobs = &shown.jobs[..shown.jobs.len().min(PAGE)];
    let next = jobs.last().filter(|_| more).map(|last| asked.page(&last.id));
    let kind = asked.filter().kind;
    let dead = shown.kinds.iter().any(|counts| counts.dead > 0 && kind.as_deref().is_none_or(|kind| kind == counts.kind));
    html! {
        @if dead && asked.shows_dead() { div.row { (retry_all(visitor, asked)) } }
        @if jobs.is_empty() {
            div.card.empty {
                h3 { (text("no-jobs-found")) }
                p.muted { (text("no-jobs-found.help")) }
                @if asked.is_narrow() || asked.after().is_some() { a.button href="/admin/jobs" { (text("show-all")) } }
            }
        } @else { ul.list { @for job in jobs { li { (row(operator, job)) } } } }
        nav.row.pages aria-label=(text("pages")) {
            @if asked.after().is_some() { a.button #first href=(asked.page("")) { (text("to-first")) } }
            @if let Some(next) = &next { a.button #more href=(next) { (text("show-more")) } }
        }
    }
}

fn retry_all(visitor: &Visitor, asked: &Asked) -> Markup {
    let (label, question) =
        if asked.is_narrow() { ("retry-matching", "retry-matching.confirm") } else { ("retry-all", "retry-all.confirm") };
    button(&Action {
        id: "retry-all",
        url: "/api/jobs/retry",
        body: &asked.order().to_string(),
        label: &visitor.text(label),
        question: &visitor.text(question),
        done: &visitor.text("retried-count"),
        ..Action::default()
    })
}

fn row(operator: &Operator, job: &Listed) -> Markup {
    let visitor = &operator.visitor;
    html! {
        a #{ "job-" (job.id) } href={ "/admin/jobs/" (job.id) } {
            span.row.spread {
                span.row { strong { (kind_name(visitor.language, &job.kind)) } (state_mark(visitor, job.state)) }
                span.muted.small { (parts::ago(job.enqueued_at)) }
            }
            @if let Some(error) = job.error.as_deref().filter(|error| !error.is_empty()) { span.failure { (parts::beginning(&visitor.language.said(error), 160)) } }
            span.hint { (about(operator, job)) span.wide { " · " (job.id) } }
        }
    }
}

/// What a job is about.
fn about(operator: &Operator, job: &Listed) -> String {
    let visitor = &operator.visitor;
    let number = |id: &str, number: Option<i32>| {
        number.map(|number| visitor.language.text_with(id, &[("number", number.to_string().into())]))
    };
    let parts = [
        number("client-of", job.client_id.filter(|_| operator.client.is_none())),
        number("account-of", job.account_id),
        number("dialog-of", job.dialog_id),
        Some(job.attempts).filter(|attempts| *attempts > 0).and_then(|attempts| number("attempts-of", Some(attempts))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

//! `/admin/workers`: who serves the accounts, and what nobody serves. For the platform's administrator.

use super::jobs::kind_name;
use super::visitor::{Administrator, Visitor};
use super::{layout, live, parts};
use crate::http::AppState;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use std::time::Duration;
use tuberry_jobs::queue::lag::{self, Lag};
use tuberry_jobs::queue::pages::{self, Filter, Listed, State as Place};
use tuberry_jobs::{Context, Job, SyncAccounts};
use tuberry_storage::worker_pages::{self, Unserved, WorkerCard};
use tuberry_storage::workers::{self, Overview};
use tuberry_storage::{Result, Store};

/// Accounts that are named; of the others there is the number.
const NAMED: i64 = 50;

#[derive(Debug)]
struct Shown {
    overview: Overview,
    workers: Vec<WorkerCard>,
    unserved: Vec<Unserved>,
    lags: Vec<Lag>,
    /// The latest runs of the tick, the last one first.
    ticks: Vec<Listed>,
}

async fn read(store: &Store) -> Result<Shown> {
    let tick = Filter { kind: Some(<SyncAccounts as Job<Context>>::KIND.to_owned()), ..Filter::default() };
    Ok(Shown {
        overview: workers::overview(store, workers::SILENT).await?,
        workers: worker_pages::roster(store, workers::SILENT).await?,
        unserved: worker_pages::unserved(store, workers::SILENT, NAMED).await?,
        lags: lag::lags(store.pool()).await?,
        ticks: pages::list(store.pool(), None, &tick, None, 10).await?,
    })
}

pub(super) async fn show(State(state): State<AppState>, Administrator(visitor): Administrator) -> Response {
    let shown = match read(&state.store).await {
        Ok(shown) => shown,
        Err(error) => return layout::outage(visitor.language, &error),
    };
    let text = |id: &str| visitor.text(id);
    layout::page(
        &visitor,
        &text("workers"),
        &[],
        html! {
            div.heading { h1 { (text("workers")) } }
            div.stack #workers data-live data-stream="/admin/workers/live" {
                (summary(&visitor, &shown))
                (roster(&visitor, &shown.workers))
                section.card { h2 { (text("unserved")) } (unserved(&visitor, &shown)) }
                section.card { h2 { (text("lag")) } (lags(&visitor, &shown.lags)) }
            }
        },
    )
    .into_response()
}

/// A change of what the page shows; of the lag, which always changes, only what is behind. The tick changes it in any case.
pub(super) async fn live(State(state): State<AppState>, _: Administrator) -> Response {
    let shown = move || {
        let store = state.store.clone();
        async move {
            let mut shown = read(&store).await.ok()?;
            // A heartbeat is no news.
            shown.workers.iter_mut().filter(|worker| !worker.silent).for_each(|worker| worker.seen_at = worker.started_at);
            let behind: Vec<String> = shown.lags.drain(..).map(|lag| lag.kind).collect();
            Some(parts::fingerprint(&(shown, behind)))
        }
    };
    live::stream(Duration::from_secs(2), shown).into_response()
}

fn summary(visitor: &Visitor, shown: &Shown) -> Markup {
    let text = |id: &str| visitor.text(id);
    let overview = shown.overview;
    let done = shown.ticks.iter().find(|tick| tick.state == Place::Done).and_then(|tick| tick.finished_at);
    let failed = shown.ticks.first().filter(|tick| tick.state == Place::Dead);
    html! {
        section.card {
            div.row {
                @if overview.workers == 0 { span.mark.bad { (text("no-workers")) } }
                @if overview.unserved > 0 { span.mark.bad { (visitor.language.text_with("unserved-count", &[("count", overview.unserved.into())])) } }
                @if overview.without_room() > 0 { span.mark.bad { (visitor.language.text_with("without-room-count", &[("count", overview.without_room().into())])) } }
                @if overview.workers > 0 && overview.unserved == 0 && overview.without_room() == 0 { span.mark.good { (text("all-served")) } }
            }
            dl.facts {
                dt { (text("workers-alive")) } dd { (overview.workers) }
                dt { (text("accounts-to-serve")) } dd { (overview.accounts) " / " (overview.capacity) }
                dt { (text("sync-tick")) }
                dd {
                    @match done { Some(at) => (parts::ago(at)), None => (text("never")) }
                    @if let Some(tick) = failed { " · " a href={ "/admin/jobs/" (tick.id) } { (text("sync-failed")) } }
                }
            }
        }
    }
}

fn roster(visitor: &Visitor, workers: &[WorkerCard]) -> Markup {
    let text = |id: &str| visitor.text(id);
    html! {
        @if workers.is_empty() {
            section.card.empty { h2 { (text("no-workers")) } p.muted { (text("no-workers.help")) } }
        } @else {
            div.scroll tabindex="0" role="region" aria-label=(text("workers")) {
                table {
                    thead { tr {
                        th scope="col" { (text("worker")) }
                        th scope="col" { (text("state")) }
                        th.number scope="col" { (text("owns")) }
                        th.number scope="col" { (text("capacity")) }
                        th.number scope="col" { (text("weight")) }
                        th scope="col" { (text("started")) }
                    } }
                    tbody { @for worker in workers { tr {
                        th scope="row" { code { (worker.name) } div.hint { (worker.host) " · pid " (worker.pid) } }
                        td {
                            @if worker.silent { span.mark.bad { (text("silent-since")) } " " (parts::ago(worker.seen_at)) }
                            @else { span.mark.good { (text("works")) } }
                        }
                        td.number { (worker.owns) }
                        td.number { (worker.capacity) }
                        td.number { (worker.weight) }
                        td { (parts::ago(worker.started_at)) }
                    } } }
                }
            }
        }
    }
}

fn unserved(visitor: &Visitor, shown: &Shown) -> Markup {
    let text = |id: &str| visitor.text(id);
    let unnamed = shown.overview.unserved - i64::try_from(shown.unserved.len()).unwrap_or(0);
    html! {
        @if shown.unserved.is_empty() { p.muted { (text("unserved-none")) } }
        @else {
            ul.list { @for account in &shown.unserved { li.entry {
                div.row.spread {
                    span { strong { (account.name) } " " span.muted { (visitor.language.text_with("account-of", &[("number", account.account.to_string().into())])) } }
                    span.muted.small { (parts::ago(account.since)) }
                }
                div.hint {
                    (account.client) " · "
                    @match &account.owner { Some(owner) => { (text("silent-owner")) " " code { (owner) } } None => (text("no-owner")) }
                }
            } } }
            @if unnamed > 0 { p.muted { (visitor.language.text_with("and-more", &[("count", unnamed.into())])) } }
        }
    }
}

fn lags(visitor: &Visitor, lags: &[Lag]) -> Markup {
    html! {
        @if lags.is_empty() { p.muted { (visitor.text("no-lag")) } }
        @else {
            dl.facts { @for lag in lags {
                dt { a href=(parts::link("/admin/jobs", &[("kind", &lag.kind), ("state", "ready")])) { (kind_name(visitor.language, &lag.kind)) } }
                dd { (visitor.text("oldest-waits-since")) " " (parts::ago(lag.since)) }
            } }
        }
    }
}

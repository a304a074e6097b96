//! The list: the most recently active first, by name, project, account, and whether somebody waits.

use super::{customer, waiting_mark};
use crate::http::{AppState, Position};
use crate::web::visitor::{Cabinet, Visitor};
use crate::web::{layout, live, parts};
use axum::extract::rejection::QueryRejection;
use axum::extract::{OriginalUri, Query, State};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;
use std::time::Duration;
use tuberry_domain::{AccountId, ClientId, ProjectId};
use tuberry_storage::dialog_cards::{self, AccountChoice, CardFilter, DialogCard};
use tuberry_storage::dialog_pages::DialogPosition;
use tuberry_storage::projects::{self, Project};
use tuberry_storage::{Result, Store};

const PAGE: usize = 50;

/// Accounts and projects to choose from: the page stays small with thousands of them.
const CHOICES: usize = 100;

/// The filter as the form sends it. What does not fit filters nothing.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::web) struct Asked {
    name: String,
    project: String,
    account: String,
    waiting: String,
    cursor: String,
}

impl Asked {
    fn filter(&self) -> CardFilter {
        CardFilter {
            name: Some(self.name.clone()).filter(|name| !name.trim().is_empty()),
            project: parts::row_id(&self.project).map(ProjectId),
            account: parts::row_id(&self.account).map(AccountId),
            waiting: !self.waiting.is_empty(),
        }
    }

    fn is_narrow(&self) -> bool {
        let filter = self.filter();
        filter.name.is_some() || filter.project.is_some() || filter.account.is_some() || filter.waiting
    }

    /// One more than a page, where there are more.
    async fn cards(&self, store: &Store, client: ClientId) -> Result<Vec<DialogCard>> {
        let after = DialogPosition::from_cursor(&self.cursor);
        dialog_cards::list(store.pool(), client, &self.filter(), after, PAGE as i64 + 1).await
    }

    fn link(&self, cursor: &str) -> String {
        let parameters = [
            ("name", self.name.as_str()),
            ("project", &self.project),
            ("account", &self.account),
            ("waiting", &self.waiting),
            ("cursor", cursor),
        ];
        parts::link("/client/dialogs", &parameters)
    }
}

struct Choices {
    projects: Vec<Project>,
    accounts: Vec<AccountChoice>,
}

async fn choices(store: &Store, client: ClientId, filter: &CardFilter) -> Result<Choices> {
    let mut projects = projects::list(store.pool(), client).await?;
    projects.sort_by_key(|project| Some(project.id) != filter.project);
    projects.truncate(CHOICES);
    let accounts = dialog_cards::accounts(store.pool(), client, filter.project, filter.account, CHOICES as i64).await?;
    Ok(Choices { projects, accounts })
}

pub(in crate::web) async fn list(
    State(state): State<AppState>,
    cabinet: Cabinet,
    OriginalUri(uri): OriginalUri,
    asked: std::result::Result<Query<Asked>, QueryRejection>,
) -> Response {
    let visitor = &cabinet.visitor;
    let Query(asked) = asked.unwrap_or_default();
    let filter = asked.filter();
    let found =
        async { Ok((asked.cards(&state.store, cabinet.client).await?, choices(&state.store, cabinet.client, &filter).await?)) };
    let (mut cards, choices) = match found.await {
        Ok(found) => found,
        Err(error) => return layout::outage(visitor.language, &error),
    };
    let more = cards.len() > PAGE;
    cards.truncate(PAGE);
    let next = cards.last().filter(|_| more).map(|last| asked.link(&last.position().to_cursor()));
    let text = |id: &str| visitor.text(id);
    layout::page(
        visitor,
        &text("dialogs"),
        &[],
        html! {
            div.heading { h1 { (text("dialogs")) } }
            (form(visitor, &asked, &filter, &choices))
            div #dialogs data-live data-stream=[asked.cursor.is_empty().then(|| parts::watched("/client/dialogs/live", &uri))] {
                @if cards.is_empty() { (nothing(visitor, &asked)) }
                @else { ul.list { @for card in &cards { li { (row(visitor, card)) } } } }
                nav.row.pages aria-label=(text("pages")) {
                    @if !asked.cursor.is_empty() { a.button #first href=(asked.link("")) { (text("to-first")) } }
                    @if let Some(next) = &next { a.button #more href=(next) { (text("show-more")) } }
                }
            }
        },
    )
    .into_response()
}

/// A change on the first page of the list. A look for a name may go through all dialogs: less often.
pub(in crate::web) async fn live(
    State(state): State<AppState>,
    cabinet: Cabinet,
    asked: std::result::Result<Query<Asked>, QueryRejection>,
) -> Response {
    let Query(asked) = asked.unwrap_or_default();
    let every = Duration::from_secs(if asked.filter().name.is_some() { 3 } else { 1 });
    let shown = move || {
        let (asked, store, client) = (asked.clone(), state.store.clone(), cabinet.client);
        async move { asked.cards(&store, client).await.ok().map(|cards| parts::fingerprint(&cards)) }
    };
    live::stream(every, shown).into_response()
}

fn form(visitor: &Visitor, asked: &Asked, filter: &CardFilter, choices: &Choices) -> Markup {
    let text = |id: &str| visitor.text(id);
    html! {
        form.filters method="get" action="/client/dialogs" role="search" {
            label { span { (text("search-customer")) } input type="search" name="name" value=(asked.name) maxlength="100" autocomplete="off"; }
            label { span { (text("project")) }
                select name="project" {
                    option value="" { (text("all")) }
                    @for project in &choices.projects {
                        option value=(project.id) selected[filter.project == Some(project.id)] { (project.name) }
                    }
                }
            }
            label { span { (text("account")) }
                select name="account" {
                    option value="" { (text("all")) }
                    @for (id, name) in &choices.accounts { option value=(id) selected[filter.account == Some(*id)] { (name) } }
                }
            }
            label.switch { input type="checkbox" role="switch" name="waiting" value="1" checked[filter.waiting]; span { (text("only-waiting")) } }
            button type="submit" { (text("apply")) }
        }
    }
}

fn nothing(visitor: &Visitor, asked: &Asked) -> Markup {
    let narrow = asked.is_narrow() || !asked.cursor.is_empty();
    let id = if narrow { "no-dialogs-found" } else { "no-dialogs" };
    html! {
        section.card.empty {
            h2 { (visitor.text(id)) }
            p.muted { (visitor.text(&format!("{id}.help"))) }
            @if narrow { a.button href="/client/dialogs" { (visitor.text("show-all")) } }
            @else { a.button href="/client" { (visitor.text("projects")) } }
        }
    }
}

fn row(visitor: &Visitor, card: &DialogCard) -> Markup {
    let belongs = [card.project.as_deref(), card.account.as_deref()];
    let belongs = belongs.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    html! {
        a #{ "dialog-" (card.id) } href={ "/client/dialogs/" (card.id) } {
            span.row.spread {
                span.row.name {
                    (waiting_mark(visitor, card.waiting))
                    strong { (customer(visitor, card.name.as_deref(), card.username.as_deref())) }
                    @if let (Some(username), Some(_)) = (&card.username, &card.name) { span.muted { "@" (username) } }
                }
                span.muted.small { (parts::ago(card.last.as_ref().map_or(card.active_at, |last| last.at))) }
            }
            @if let Some(last) = &card.last {
                span.truncate {
                    @if last.outgoing { span.muted { (visitor.text("we-wrote")) " " } }
                    @if last.failed { span.failure { "(" (visitor.text("message-out-failed")) ")" } " " }
                    (last.line)
                }
            }
            span.hint { (belongs) }
        }
    }
}

//! `/client`: the tenant's projects.

use super::visitor::Cabinet;
use super::{layout, parts};
use crate::http::AppState;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;
use tuberry_domain::ProjectId;
use tuberry_storage::cabinet::{self, ProjectCard};

/// Projects on one page.
const PAGE: usize = 40;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// The last project of the page before.
    cursor: String,
}

pub(super) async fn list(
    State(state): State<AppState>,
    cabinet: Cabinet,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let visitor = &cabinet.visitor;
    let after = asked.ok().and_then(|Query(asked)| parts::row_id(&asked.cursor)).map(ProjectId);
    let mut projects = match cabinet::projects(state.store.pool(), cabinet.client, None).await {
        Ok(projects) => projects,
        Err(error) => return layout::outage(visitor.language, &error),
    };
    projects.retain(|project| after.is_none_or(|after| project.id > after));
    let more = projects.len() > PAGE;
    projects.truncate(PAGE);
    let next = projects.last().filter(|_| more).map(|last| format!("/client?cursor={}", last.id));
    let text = |id: &str| visitor.text(id);
    layout::page(
        visitor,
        &text("projects"),
        &[],
        html! {
            div.heading {
                h1 { (text("projects")) }
                @if visitor.may_change() { a.button href="/client/settings#new-project" { (text("new-project")) } }
            }
            @if visitor.simulator.is_some() { (tour(&cabinet)) }
            @if projects.is_empty() {
                section.card.empty {
                    h2 { (text("no-projects")) }
                    p.muted { (text("no-projects.help")) }
                    @if visitor.may_change() { a.button.primary href="/client/settings#new-project" { (text("new-project")) } }
                }
            }
            ul.cards { @for project in &projects { li { (card(&cabinet, project)) } } }
            @if after.is_some() || next.is_some() {
                nav.row.pages aria-label=(text("pages")) {
                    @if after.is_some() { a.button #first href="/client" { (text("to-first")) } }
                    @if let Some(next) = &next { a.button #more href=(next) { (text("show-more")) } }
                }
            }
        },
    )
    .into_response()
}

/// What to try in a demo.
fn tour(cabinet: &Cabinet) -> Markup {
    let text = |id: &str| cabinet.visitor.text(id);
    html! {
        section.card aria-labelledby="tour-title" {
            h2 #tour-title { (text("tour")) }
            ol.says { @for step in ["tour-connect", "tour-write", "tour-answer", "tour-watch"] { li { (text(step)) } } }
        }
    }
}

fn card(cabinet: &Cabinet, project: &ProjectCard) -> Markup {
    let text = |id: &str| cabinet.visitor.text(id);
    html! {
        a.card href={ "/client/projects/" (project.id) } {
            div.row.spread { h2 { (project.name) } (health(cabinet, project)) }
            dl.facts.short {
                dt { (text("bot")) } dd { @match &project.bot_username { Some(name) => { "@" (name) } None => (text("none")) } }
                dt { (text("group")) } dd { (project.group_title.clone().or_else(|| project.group.clone()).unwrap_or_else(|| text("none"))) }
                dt { (text("personal-accounts")) } dd { (project.accounts) }
                dt { (text("open-dialogs")) }
                dd { (project.dialogs) @if project.waiting > 0 { ", " (cabinet.visitor.language.text_with("waiting-count", &[("count", project.waiting.into())])) } }
            }
        }
    }
}

/// The worst thing that can be said about a project.
pub(super) fn health(cabinet: &Cabinet, project: &ProjectCard) -> Markup {
    let (kind, id) = match project {
        ProjectCard { bot_username: None, .. } => ("warn", "health-no-bot"),
        ProjectCard { group: None, .. } => ("warn", "health-no-group"),
        ProjectCard { bot_works: Some(false), .. } => ("bad", "health-bot-refused"),
        ProjectCard { accounts_in_error: 1.., .. } => ("bad", "health-account-error"),
        ProjectCard { accounts_in_trouble: 1.., .. } => ("warn", "health-account-trouble"),
        ProjectCard { accounts_coming: 1.., .. } => ("", "health-account-coming"),
        ProjectCard { accounts: 0, .. } => ("", "health-no-accounts"),
        _ => ("good", "health-good"),
    };
    html! { span class={ "mark " (kind) } { (cabinet.visitor.text(id)) } }
}

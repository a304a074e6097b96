//! `/client/projects/{id}`: a project and its personal accounts.

use super::visitor::Cabinet;
use super::{accounts, layout, live, login, parts, projects, settings};
use crate::http::AppState;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use std::time::Duration;
use tuberry_domain::ProjectId;
use tuberry_storage::cabinet::{self, ProjectCard};

const EVERY: Duration = Duration::from_secs(1);

type Id = Result<Path<i32>, PathRejection>;

pub(super) async fn show(
    State(state): State<AppState>,
    cabinet: Cabinet,
    id: Id,
    asked: Result<Query<accounts::Asked>, QueryRejection>,
) -> Response {
    let language = cabinet.visitor.language;
    let Ok(Path(id)) = id else { return layout::not_found(language) };
    let (id, Query(asked)) = (ProjectId(id), asked.unwrap_or_default());
    let found = async {
        let project = cabinet::projects(state.store.pool(), cabinet.client, Some(id)).await?.pop();
        Ok((project, accounts::Found::read(&state.store, &cabinet, id, &asked, accounts::PAGE).await?))
    };
    match found.await {
        Ok((Some(project), found)) => {
            let list = html! { (asked.form(&cabinet, id, project.accounts)) div #accounts data-live { (asked.list(&cabinet, id, &found)) } };
            page(&cabinet, &project, &list, state.login_lifetime).into_response()
        }
        Ok((None, _)) => layout::not_found(language),
        Err(error) => layout::outage(language, &error),
    }
}

/// `/client/projects/{id}/events`.
pub(super) async fn events(State(state): State<AppState>, cabinet: Cabinet, id: Id) -> Response {
    let Ok(Path(id)) = id else { return layout::not_found(cabinet.visitor.language) };
    changes(state, &cabinet, Some(ProjectId(id)))
}

/// Changes of what a project's page shows, or of all projects' (`None`).
pub(super) fn changes(state: AppState, cabinet: &Cabinet, project: Option<ProjectId>) -> Response {
    let (store, client) = (state.store, cabinet.client);
    let fingerprint = move || {
        let store = store.clone();
        async move { cabinet::fingerprint(store.pool(), client, project).await.ok() }
    };
    live::stream(EVERY, fingerprint).into_response()
}

fn page(cabinet: &Cabinet, project: &ProjectCard, accounts: &Markup, login_lifetime: Duration) -> Markup {
    let visitor = &cabinet.visitor;
    let text = |id: &str| visitor.text(id);
    let scripts: &[&str] = if visitor.may_change() { &["accounts.js", "login.js"] } else { &[] };
    layout::page(
        visitor,
        &project.name,
        scripts,
        html! {
            nav.crumbs aria-label=(text("breadcrumbs")) { a href="/client" { (text("projects")) } " / " (project.name) }
            div data-stream={ "/client/projects/" (project.id) "/events" } hidden {}
            div.heading #heading data-live { h1 { (project.name) } (projects::health(cabinet, project)) }
            section.card #facts data-live aria-label=(text("project")) { (facts(cabinet, project)) }
            section.stack aria-labelledby="accounts-title" {
                div.heading #connect data-live { h2 #accounts-title { (text("accounts-title")) } (connect(cabinet, project, true)) }
                (accounts)
            }
            @if visitor.may_change() { (accounts::windows(visitor)) (login::window(visitor, login_lifetime)) }
        },
    )
}

fn facts(cabinet: &Cabinet, project: &ProjectCard) -> Markup {
    let text = |id: &str| cabinet.visitor.text(id);
    let id = project.id.to_string();
    let dialogs = |waiting: &str| parts::link("/client/dialogs", &[("project", &id), ("waiting", waiting)]);
    html! {
        dl.facts.across {
            div { dt { (text("bot")) } dd { @match &project.bot_username { Some(name) => { "@" (name) } None => (text("none")) } } }
            div { dt { (text("group")) } dd { (group(cabinet, project)) } }
            div {
                dt { (text("open-dialogs")) }
                dd {
                    a href=(dialogs("")) { (project.dialogs) }
                    @if project.waiting > 0 {
                        ", " a href=(dialogs("1")) { (cabinet.visitor.language.text_with("waiting-count", &[("count", project.waiting.into())])) }
                    }
                }
            }
        }
        @if cabinet.visitor.may_change() { p.small { a href=(settings::url(project.id)) { (text("project-settings")) } } }
    }
}

fn group(cabinet: &Cabinet, project: &ProjectCard) -> String {
    project.group_title.clone().or_else(|| project.group.clone()).unwrap_or_else(|| cabinet.visitor.text("none"))
}

/// The button that begins a login, or what is missing for it, with the way there.
pub(super) fn connect(cabinet: &Cabinet, project: &ProjectCard, way: bool) -> Markup {
    let text = |id: &str| cabinet.visitor.text(id);
    let missing = match project {
        ProjectCard { bot_username: None, .. } => Some("connect-needs-bot"),
        ProjectCard { group: None, .. } => Some("connect-needs-group"),
        _ => None,
    };
    let missing_id = format!("missing-{}", project.id);
    html! {
        @if cabinet.visitor.may_change() {
            button.primary type="button" id={ "connect-" (project.id) } data-action="login" data-project=(project.id) disabled[missing.is_some()]
                   aria-describedby=[missing.is_some().then_some(&missing_id)] { (text("add-account")) }
        }
        @if let Some(missing) = missing {
            p.warning.wide id=(missing_id) {
                (text(missing)) " "
                @if way && cabinet.visitor.may_change() { a href=(settings::url(project.id)) { (text("open-settings")) } }
            }
        }
    }
}

//! `/client/settings`: projects with their bots, working groups and first accounts. Its forms are calls of the REST interface (`assets/forms.js`).
//! Of a tenant with many projects the first ones stand there whole, or that of `?project=`; the others as links.

use super::accounts::Found;
use super::project::{changes, connect};
use super::visitor::Cabinet;
use super::{accounts, layout, login, parts, projects};
use crate::http::AppState;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;
use std::time::Duration;
use tuberry_domain::ProjectId;
use tuberry_storage::bots::{self, Bot};
use tuberry_storage::cabinet::{self, ProjectCard};
use tuberry_storage::projects::{self as stored_projects, Project};
use tuberry_storage::telegram_chats::{self, TelegramChat};

/// Bytes of whole sections on one page.
const SECTIONS: usize = 26_000;

/// Projects that are links: their number, and characters of their names.
const LINKS: usize = 60;
const LINK: usize = 60;

/// Accounts of a project; its own page has all.
const ACCOUNTS: usize = 4;

/// Bots and groups to choose from.
const CHOICES: usize = 50;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    project: String,
}

/// What the page shows beside accounts.
struct Settings {
    /// Both halves of each project.
    projects: Vec<(Project, ProjectCard)>,
    bots: Vec<Bot>,
    chats: Vec<TelegramChat>,
}

/// Where the settings of a project are.
pub(super) fn url(project: ProjectId) -> String {
    format!("/client/settings?project={project}#project-{project}")
}

pub(super) async fn show(
    State(state): State<AppState>,
    cabinet: Cabinet,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let chosen = asked.ok().and_then(|Query(asked)| parts::row_id(&asked.project)).map(ProjectId);
    let found = async {
        let mut settings = read(&state, &cabinet).await?;
        settings.projects.sort_by_key(|(project, _)| Some(project.id) != chosen);
        Ok((sections(&state, &cabinet, &settings).await?, settings))
    };
    match found.await {
        Ok((sections, settings)) => page(&cabinet, &settings, &sections, state.login_lifetime).into_response(),
        Err(error) => layout::outage(cabinet.visitor.language, &error),
    }
}

/// `/client/settings/events`.
pub(super) async fn events(State(state): State<AppState>, cabinet: Cabinet) -> Response {
    changes(state, &cabinet, None)
}

async fn read(state: &AppState, cabinet: &Cabinet) -> tuberry_storage::Result<Settings> {
    let (pool, client) = (state.store.pool(), cabinet.client);
    let (projects, cards, bots, chats) = tokio::try_join!(
        stored_projects::list(pool, client),
        cabinet::projects(pool, client, None),
        bots::list(pool, client),
        telegram_chats::list(pool, client, None),
    )?;
    let card = |project: Project| {
        let card = cards.iter().find(|card| card.id == project.id)?.clone();
        Some((project, card))
    };
    Ok(Settings { projects: projects.into_iter().filter_map(card).collect(), bots, chats })
}

/// As many whole projects as fit.
async fn sections(state: &AppState, cabinet: &Cabinet, settings: &Settings) -> tuberry_storage::Result<Vec<Markup>> {
    let (mut sections, mut bytes) = (Vec::new(), 0);
    for (project, card) in &settings.projects {
        let accounts = Found::read(&state.store, cabinet, project.id, &accounts::Asked::default(), ACCOUNTS).await?;
        let section = section(cabinet, settings, project, card, &accounts);
        bytes += section.0.len();
        if bytes > SECTIONS && !sections.is_empty() {
            break;
        }
        sections.push(section);
    }
    Ok(sections)
}

fn page(cabinet: &Cabinet, settings: &Settings, sections: &[Markup], login_lifetime: Duration) -> Markup {
    let visitor = &cabinet.visitor;
    let text = |id: &str| visitor.text(id);
    let scripts: &[&str] = if visitor.may_change() { &["accounts.js", "login.js", "forms.js"] } else { &[] };
    layout::page(
        visitor,
        &text("settings"),
        scripts,
        html! {
            div data-stream="/client/settings/events" hidden {}
            div.heading { h1 { (text("settings")) } }
            @if settings.projects.is_empty() {
                section.card.empty { h2 { (text("no-projects")) } p.muted { (text("no-projects.help")) } }
            }
            @for section in sections { (section) }
            (others(cabinet, &settings.projects[sections.len()..]))
            @if visitor.may_change() {
                section.card #new-project aria-labelledby="new-project-title" {
                    h2 #new-project-title { (text("new-project")) }
                    form data-method="POST" data-path="/api/projects" data-then="/client/settings?project={id}#project-{id}" {
                        (name_fields(cabinet, None))
                        (wrong())
                        div { button.primary type="submit" { (text("create")) } }
                    }
                }
                (accounts::windows(visitor)) (login::window(visitor, login_lifetime))
            }
        },
    )
}

/// Projects that are not there whole.
fn others(cabinet: &Cabinet, projects: &[(Project, ProjectCard)]) -> Markup {
    let text = |id: &str| cabinet.visitor.text(id);
    html! {
        @if !projects.is_empty() {
            section.stack aria-labelledby="others-title" {
                h2 #others-title { (text("other-projects")) }
                ul.list #others data-live { @for (project, card) in projects.iter().take(LINKS) {
                    li { a href=(url(project.id)) {
                        span.row.spread { strong { (parts::beginning(&project.name, LINK)) } (projects::health(cabinet, card)) }
                    } }
                } }
                @if projects.len() > LINKS { p { a href="/client" { (text("all-projects")) } } }
            }
        }
    }
}

/// One project: its names, its bot and group, its accounts.
fn section(cabinet: &Cabinet, settings: &Settings, project: &Project, card: &ProjectCard, accounts: &Found) -> Markup {
    let visitor = &cabinet.visitor;
    let text = |id: &str| visitor.text(id);
    let title = format!("project-title-{}", project.id);
    html! {
        section.stack id={ "project-" (project.id) } aria-labelledby=(title) {
            div.heading id={ "project-heading-" (project.id) } data-live {
                h2 id=(title) { a href={ "/client/projects/" (project.id) } { (project.name) } } (projects::health(cabinet, card))
            }
            div.two {
                @if visitor.may_change() {
                    div.card {
                        h3 { (text("project")) }
                        form data-method="PATCH" data-path={ "/api/projects/" (project.id) } data-done=(text("saved")) {
                            (name_fields(cabinet, Some(project)))
                            (wrong())
                            div { button type="submit" { (text("save")) } }
                        }
                    }
                }
                div.card id={ "bot-of-" (project.id) } data-live {
                    h3 { (text("bot-and-group")) }
                    @match settings.bots.iter().find(|bot| bot.project_id == Some(project.id.0)) {
                        Some(bot) => (bound(cabinet, settings, project, bot)),
                        None if visitor.may_change() => (unbound(cabinet, settings, project)),
                        None => p.muted { (text("health-no-bot")) },
                    }
                }
            }
            div.heading id={ "accounts-heading-" (project.id) } data-live { h3 { (text("accounts-title")) } (connect(cabinet, card, false)) }
            div.stack id={ "accounts-of-" (project.id) } data-live {
                (accounts::cards(cabinet, accounts.accounts()))
                @if card.accounts > ACCOUNTS as i64 {
                    p { a href={ "/client/projects/" (project.id) } { (visitor.language.text_with("all-accounts", &[("count", card.accounts.into())])) } }
                }
            }
        }
    }
}

fn name_fields(cabinet: &Cabinet, project: Option<&Project>) -> Markup {
    let text = |id: &str| cabinet.visitor.text(id);
    html! {
        label { span { (text("project-name")) }
            input type="text" name="name" value=(project.map_or("", |project| &project.name)) required maxlength="255" autocomplete="off"; }
        label { span { (text("project-description")) }
            textarea name="description" rows="2" maxlength="2000" { (project.and_then(|project| project.description.as_deref()).unwrap_or_default()) } }
    }
}

/// A project without a bot: one of the tenant's that serve none, or a new one by its token.
fn unbound(cabinet: &Cabinet, settings: &Settings, project: &Project) -> Markup {
    let text = |id: &str| cabinet.visitor.text(id);
    let free: Vec<&Bot> = settings.bots.iter().filter(|bot| bot.project_id.is_none()).take(CHOICES).collect();
    html! {
        @if !free.is_empty() {
            form data-method="PATCH" data-path={ "/api/projects/" (project.id) } data-done=(text("bot-connected")) {
                label { span { (text("free-bot")) }
                    select name="bot_id" data-number required { @for bot in &free { option value=(bot.id) { (bot_name(bot)) } } } }
                (wrong())
                div { button type="submit" { (text("connect-bot")) } }
            }
        }
        form data-method="POST" data-path="/api/bots" data-done=(text("bot-connected")) {
            input type="hidden" name="project_id" data-number value=(project.id);
            label { span { (text("bot-token")) }
                input type="password" name="token" data-secret required autocomplete="off" maxlength="128" placeholder="123456789:AA…"; }
            p.hint { (text("bot-token.help")) }
            (wrong())
            div { button.primary type="submit" { (text("connect-new-bot")) } }
        }
    }
}

/// A project's bot and its working group.
fn bound(cabinet: &Cabinet, settings: &Settings, project: &Project, bot: &Bot) -> Markup {
    let text = |id: &str| cabinet.visitor.text(id);
    let group = bot.group_chat_id.as_deref().map(str::trim).filter(|group| !group.is_empty());
    let title = |chat: &TelegramChat| chat.title.clone().unwrap_or_else(|| chat.chat_id.clone());
    let chats: Vec<&TelegramChat> = settings.chats.iter().filter(|chat| chat.bot_id == bot.id).collect();
    let known = chats.iter().find(|chat| Some(chat.chat_id.as_str()) == group);
    let shown = group.map(|group| known.map_or_else(|| group.to_owned(), |chat| title(chat)));
    let choice: Vec<&TelegramChat> =
        chats.iter().copied().filter(|chat| fits(chat) && Some(chat.chat_id.as_str()) != group).take(CHOICES).collect();
    html! {
        dl.facts {
            dt { (text("bot")) } dd { (bot_name(bot)) @if bot.status == "error" { " " span.mark.bad { (text("health-bot-refused")) } } }
            dt { (text("group")) } dd { @match &shown { Some(shown) => (shown), None => (text("none")) } }
        }
        @if cabinet.visitor.may_change() {
            @if bot.status == "error" { p.error { (text("bot-rights")) } }
            form data-method="PATCH" data-path={ "/api/bots/" (bot.id) } data-done=(text("group-chosen")) {
                @if group.is_some() || !choice.is_empty() {
                    label { span { (text("group-choice")) }
                        select name="group_chat_id" data-number required {
                            @if let (Some(group), Some(shown)) = (group, &shown) { option value=(group) selected { (shown) } }
                            @for chat in &choice { option value=(chat.chat_id) { (title(chat)) } }
                        }
                    }
                }
                p.hint { (cabinet.visitor.language.text_with("group-help", &[("bot", bot_name(bot).into())])) }
                (wrong())
                @if group.is_some() || !choice.is_empty() {
                    div { button.primary[group.is_none()] type="submit" { (text(if group.is_some() { "check-group" } else { "choose-group" })) } }
                }
            }
            form data-method="PATCH" data-path={ "/api/projects/" (project.id) } data-done=(text("bot-taken")) {
                input type="hidden" name="bot_id" data-number value="";
                (wrong())
                div { button.danger type="submit" { (text("take-bot")) } }
            }
        }
    }
}

/// A chat that may become a working group; the REST interface asks Telegram for the bot's rights.
fn fits(chat: &TelegramChat) -> bool {
    chat.is_active && chat.chat_type.as_deref() == Some("supergroup") && chat.is_forum != Some(false)
}

fn bot_name(bot: &Bot) -> String {
    bot.bot_username.as_ref().map_or_else(|| format!("#{}", bot.id), |name| format!("@{name}"))
}

/// Where a form says what is wrong.
fn wrong() -> Markup {
    html! { p.error role="alert" hidden {} }
}

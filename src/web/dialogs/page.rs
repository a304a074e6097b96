//! One dialog: its messages, the oldest of the page first. Answers are written in the topic of the working group, not here.

use super::{customer, waiting_mark};
use crate::http::AppState;
use crate::web::visitor::{Cabinet, Visitor};
use crate::web::{layout, live, parts};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;
use std::time::Duration;
use tuberry_domain::{ClientId, DialogId, MessageId};
use tuberry_storage::dialog_cards::{self, DialogHead};
use tuberry_storage::dialog_pages::{self, DialogMessage};
use tuberry_storage::{Result, Store};

const PAGE: usize = 50;

/// Bytes of text on one page; the rest is on the next one.
const PAGE_BYTES: usize = 36_000;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::web) struct Asked {
    cursor: String,
}

type Shown = Option<(DialogHead, Vec<DialogMessage>)>;

/// One message more than a page, where there are more, the newest first.
async fn read(store: &Store, client: ClientId, dialog: DialogId, before: Option<MessageId>) -> Result<Shown> {
    let Some(head) = dialog_cards::head(store.pool(), client, dialog).await? else { return Ok(None) };
    let messages = dialog_pages::messages(store.pool(), client, dialog, before, PAGE as i64 + 1).await?;
    Ok(messages.map(|messages| (head, messages)))
}

pub(in crate::web) async fn show(
    State(state): State<AppState>,
    cabinet: Cabinet,
    Path(id): Path<String>,
    asked: std::result::Result<Query<Asked>, QueryRejection>,
) -> Response {
    let visitor = &cabinet.visitor;
    let Some(dialog) = parts::row_id(&id).map(DialogId) else { return layout::not_found(visitor.language) };
    let Query(asked) = asked.unwrap_or_default();
    let before = parts::row_id(&asked.cursor).map(MessageId);
    let (head, messages) = match read(&state.store, cabinet.client, dialog, before).await {
        Ok(Some(shown)) => shown,
        Ok(None) => return layout::not_found(visitor.language),
        Err(error) => return layout::outage(visitor.language, &error),
    };
    let fits = fitting(&messages);
    let older = (fits < messages.len()).then(|| messages[fits - 1].id);
    let here = format!("/client/dialogs/{dialog}");
    let title = customer(visitor, head.name.as_deref(), head.username.as_deref());
    let text = |id: &str| visitor.text(id);
    layout::page(
        visitor,
        &title,
        &["dialog.js"],
        html! {
            div {
                p.crumbs { a href="/client/dialogs" { (text("dialogs")) } }
                h1 { (title) }
            }
            section.card #about data-live { (about(visitor, &head)) }
            section.card {
                h2 { (text("messages")) }
                div.talk #talk tabindex="0" role="region" aria-label=(text("messages")) data-end[before.is_none()] {
                    div #messages data-live data-stream=[before.is_none().then(|| format!("{here}/live"))] {
                        @if let Some(older) = older {
                            p.pages { a.button #older href={ (here) "?cursor=" (older) } { (text("older-messages")) } }
                        }
                        @if messages.is_empty() { p.muted { (text("no-messages")) } }
                        ol.messages { @for message in messages[..fits].iter().rev() { (bubble(visitor, head.many, message)) } }
                        @if before.is_some() { p.pages { a.button #newest href=(here) { (text("newest-messages")) } } }
                    }
                }
                p.unseen #heard role="status" data-text=(text("new-message")) {}
                (blocked(visitor, &head))
            }
        },
    )
    .into_response()
}

/// A change of what the newest page shows.
pub(in crate::web) async fn live(State(state): State<AppState>, cabinet: Cabinet, Path(id): Path<String>) -> Response {
    let Some(dialog) = parts::row_id(&id).map(DialogId) else { return layout::not_found(cabinet.visitor.language) };
    match dialog_cards::head(state.store.pool(), cabinet.client, dialog).await {
        Ok(Some(_)) => {}
        Ok(None) => return layout::not_found(cabinet.visitor.language),
        Err(error) => return layout::outage(cabinet.visitor.language, &error),
    }
    let shown = move || {
        let (store, client) = (state.store.clone(), cabinet.client);
        async move { read(&store, client, dialog, None).await.ok().map(|shown| parts::fingerprint(&shown)) }
    };
    live::stream(Duration::from_secs(1), shown).into_response()
}

/// How many of the messages, from the newest on, a page holds.
fn fitting(messages: &[DialogMessage]) -> usize {
    let mut bytes = 0;
    let fits = messages.iter().take(PAGE).take_while(|message| {
        bytes += message.body.len();
        bytes <= PAGE_BYTES
    });
    fits.count().max(1).min(messages.len())
}

fn about(visitor: &Visitor, head: &DialogHead) -> Markup {
    let text = |id: &str| visitor.text(id);
    let state = if head.waiting { "dialog-waits" } else { "dialog-answered" };
    html! {
        dl.facts.short {
            dt { (text("state")) } dd.row { (waiting_mark(visitor, head.waiting)) span aria-hidden="true" { (text(state)) } }
            @if let Some(username) = &head.username { dt { (text("username")) } dd { "@" (username) } }
            dt { (text("project")) }
            dd { @match &head.project { Some((id, name)) => { a href={ "/client/projects/" (id) } { (name) } } None => (text("none")) } }
            dt { (text("account")) } dd { (head.account.clone().unwrap_or_else(|| text("account-removed"))) }
        }
    }
}

/// Where Telegram opens the topic: `-100…` is how the Bot API writes a supergroup's id. In a demo the simulator does.
fn topic_url(head: &DialogHead, simulator: Option<&str>) -> Option<String> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let group = head.group.as_deref()?.trim().strip_prefix("-100").filter(|group| digits(group))?;
    let topic = head.topic.as_deref().map(str::trim).filter(|topic| digits(topic))?;
    Some(match simulator {
        None => format!("https://t.me/c/{group}/{topic}"),
        Some(simulator) => format!("{simulator}/#side=groups&forum=-100{group}&thread={topic}"),
    })
}

fn blocked(visitor: &Visitor, head: &DialogHead) -> Markup {
    let simulator = visitor.simulator.as_deref();
    let url = topic_url(head, simulator);
    let (target, rel) = if simulator.is_some() { ("simulator", None) } else { ("_blank", Some("noopener noreferrer")) };
    html! {
        div.row.answer {
            label.grow { span { (visitor.text("answer")) }
                textarea #answer rows="2" disabled aria-describedby="why" placeholder=(visitor.text("answer-in-topic")) {} }
            @if let Some(url) = &url {
                a.button.primary #open-topic href=(url) target=(target) rel=[rel] { (visitor.text("open-topic")) }
            }
        }
        p.hint #why { (visitor.text("answer-in-topic.help")) @if url.is_none() { " " (visitor.text("no-topic-yet")) } }
    }
}

/// `many`: several people may write there, so that an incoming message says who did.
fn bubble(visitor: &Visitor, many: bool, message: &DialogMessage) -> Markup {
    let outgoing = message.direction == "personal_telegram_out";
    let failed = message.status == "failed";
    let (author, state) = match (outgoing, message.status.as_str()) {
        (false, "pending") => ("from-customer", "message-in-pending"),
        (false, "failed") => ("from-customer", "message-in-failed"),
        (false, _) => ("from-customer", "message-in-delivered"),
        (true, "pending") => ("from-us", "message-out-pending"),
        (true, "sent") => ("from-us", "message-out-sent"),
        (true, "failed") => ("from-us", "message-out-failed"),
        (true, _) => ("from-us", "message-out-delivered"),
    };
    html! {
        li.message.out[outgoing].failed[failed] data-id=(message.id) {
            @match message.sender.as_deref().filter(|sender| many && !outgoing && !sender.trim().is_empty()) {
                Some(sender) => strong.small { (sender) },
                None => span.unseen { (visitor.text(author)) ": " },
            }
            span.text { (message.body) }
            span.muted.small { (parts::ago(message.created_at)) " · " (visitor.text(state)) }
            @if let Some(error) = &message.error { span.error.small { (visitor.language.said(error)) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(group: &str, topic: &str) -> DialogHead {
        let (group, topic) = (Some(group.to_owned()), Some(topic.to_owned()));
        DialogHead { name: None, username: None, project: None, account: None, waiting: false, many: false, group, topic }
    }

    #[test]
    fn a_topic_opens_by_the_groups_bare_id() {
        assert_eq!(topic_url(&head("-1001234567890", "42"), None).as_deref(), Some("https://t.me/c/1234567890/42"));
        let simulated = topic_url(&head("-1001", "2"), Some("http://127.0.0.1:1"));
        assert_eq!(simulated.as_deref(), Some("http://127.0.0.1:1/#side=groups&forum=-1001&thread=2"));
        for (group, topic) in
            [("-1234", "42"), ("1001234", "42"), ("-100", "42"), ("-1001234", ""), ("-100x", "1"), ("-1001", "javascript:1")]
        {
            assert_eq!(topic_url(&head(group, topic), None), None, "{group} {topic}");
        }
    }
}

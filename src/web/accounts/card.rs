//! The card of one account: what it is, what it mirrors, and what may be done with it.

use crate::web::parts;
use crate::web::visitor::{Cabinet, Visitor};
use maud::{Markup, html};
use tuberry_storage::account_pages::AccountPage;

pub(super) fn card(cabinet: &Cabinet, account: &AccountPage) -> Markup {
    let visitor = &cabinet.visitor;
    let text = |id: &str| visitor.text(id);
    let name = name(account);
    let (kind, status) = status(account);
    html! {
        article.card id={ "account-" (account.id) } aria-labelledby={ "account-name-" (account.id) } data-account=(account.id) data-name=(name)
                data-proxy=[&account.proxy] {
            div.row.spread { h3 id={ "account-name-" (account.id) } { (name) } span class={ "mark " (kind) } { (text(status)) } }
            dl.facts.short {
                @if let Some(username) = filled(&account.username) { dt { (text("username")) } dd { "@" (username) } }
                @if let Some(phone) = filled(&account.phone) { dt { (text("phone")) } dd { "+" (phone.trim_start_matches('+')) } }
                dt { (text("telegram-id")) } dd { (account.telegram_user_id.as_deref().unwrap_or("—")) }
                dt { (text("last-activity")) }
                dd { @match account.last_connected_at { Some(then) => (parts::ago(then)), None => (text("not-yet")) } }
                @if let Some(proxy) = &account.proxy { dt { (text("proxy")) } dd { (proxy) } }
            }
            @if let Some(error) = &account.last_error {
                p class=(if account.status == "error" { "error" } else { "warning" }) { (visitor.language.said(error)) }
            }
            @if visitor.may_change() { (switches(visitor, account)) (buttons(visitor, account)) }
            @else { p.small { span.muted { (text("mirrors")) ": " } (mirrored(visitor, account)) } }
        }
    }
}

fn filled(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

/// The name that people know it by.
fn name(account: &AccountPage) -> String {
    let username = || filled(&account.username).map(|username| format!("@{username}"));
    let phone = || filled(&account.phone).map(str::to_owned);
    filled(&account.display_name)
        .map(str::to_owned)
        .or_else(username)
        .or_else(phone)
        .unwrap_or_else(|| format!("#{}", account.id))
}

/// Colour and text.
fn status(account: &AccountPage) -> (&'static str, &'static str) {
    match (account.status.as_str(), &account.last_error, account.last_connected_at) {
        ("error", _, _) => ("bad", "account-error"),
        ("active", Some(_), _) => ("warn", "account-trouble"),
        ("active", None, Some(_)) => ("good", "account-active"),
        _ => ("", "account-pending"),
    }
}

fn kinds(account: &AccountPage) -> [(&'static str, &'static str, bool); 3] {
    [
        ("accepts_private", "private-chats", account.accepts_private),
        ("accepts_groups", "groups", account.accepts_groups),
        ("accepts_channels", "channels", account.accepts_channels),
    ]
}

fn switches(visitor: &Visitor, account: &AccountPage) -> Markup {
    html! {
        fieldset.switches {
            legend { (visitor.text("mirrors")) }
            @for (field, text, on) in kinds(account) {
                label.switch {
                    input type="checkbox" role="switch" id={ (field) "-" (account.id) } data-field=(field) checked[on];
                    span { (visitor.text(text)) }
                }
            }
        }
    }
}

fn mirrored(visitor: &Visitor, account: &AccountPage) -> String {
    let on: Vec<String> = kinds(account).into_iter().filter(|(_, _, on)| *on).map(|(_, text, _)| visitor.text(text)).collect();
    if on.is_empty() { visitor.text("nothing") } else { on.join(", ") }
}

fn buttons(visitor: &Visitor, account: &AccountPage) -> Markup {
    let (id, name) = (|action: &str| format!("{action}-{}", account.id), format!("account-name-{}", account.id));
    html! {
        div.row.compact {
            @if account.status != "active" {
                button.primary type="button" id=(id("login")) data-action="login" data-project=(account.project_id) { (visitor.text("sign-in-again")) }
            }
            button type="button" id=(id("rename")) data-action="rename" aria-describedby=(name) { (visitor.text("rename")) }
            button type="button" id=(id("proxy")) data-action="proxy" aria-describedby=(name) { (visitor.text("proxy")) }
            button.danger type="button" id=(id("remove")) data-action="remove" aria-describedby=(name) { (visitor.text("remove")) }
        }
    }
}

//! `/client/dialogs`: customers' conversations with the tenant's personal accounts.

mod list;
mod page;

pub(super) use list::{list, live as live_list};
pub(super) use page::{live as live_page, show};

use super::visitor::Visitor;
use maud::{Markup, html};

/// Whether the customer waits: 🔴 and 🟢 of the topic's title, drawn, for not everybody has a font with them; in words for those who do not see it.
fn waiting_mark(visitor: &Visitor, waiting: bool) -> Markup {
    let (mark, words) = if waiting { ("waits", "dialog-waits") } else { ("answered", "dialog-answered") };
    let words = visitor.text(words);
    html! { span class={ "dot " (mark) } role="img" aria-label=(words) title=(words) {} }
}

/// What the customer is called.
fn customer(visitor: &Visitor, name: Option<&str>, username: Option<&str>) -> String {
    let name = name.map(str::trim).filter(|name| !name.is_empty());
    name.map(str::to_owned)
        .or_else(|| username.map(|username| format!("@{username}")))
        .unwrap_or_else(|| visitor.text("nameless"))
}

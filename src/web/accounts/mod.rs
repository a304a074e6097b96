//! Personal accounts, on the project's page and in the settings: cards, page by page, and the windows that their buttons open
//! (`assets/accounts.js`).

mod card;
mod list;
mod windows;

pub(super) use list::{Asked, Found, PAGE};
pub(super) use windows::windows;

use super::visitor::Cabinet;
use card::card;
use maud::{Markup, html};
use tuberry_storage::account_pages::AccountPage;

/// Cards of accounts, and what to do where there is none. Whoever may not change anything gets no buttons.
pub(super) fn cards(cabinet: &Cabinet, accounts: &[AccountPage]) -> Markup {
    let text = |id: &str| cabinet.visitor.text(id);
    html! {
        @if accounts.is_empty() {
            div.card.empty { h3 { (text("no-accounts")) } p.muted { (text("no-accounts.help")) } }
        } @else {
            ul.cards { @for account in accounts { li { (card(cabinet, account)) } } }
        }
    }
}

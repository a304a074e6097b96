//! The accounts of one project, a page at a time, by name and by whether something is wrong.

use super::cards;
use crate::web::parts;
use crate::web::visitor::Cabinet;
use maud::{Markup, html};
use serde::Deserialize;
use tuberry_domain::{AccountId, ProjectId};
use tuberry_storage::account_pages::{self, AccountFilter, AccountPage};
use tuberry_storage::{Result, Store};

/// Cards on one page.
pub(in crate::web) const PAGE: usize = 12;

/// The filter as the form sends it. What does not fit filters nothing.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::web) struct Asked {
    name: String,
    trouble: String,
    cursor: String,
}

/// One page of a project's accounts.
pub(in crate::web) struct Found {
    accounts: Vec<AccountPage>,
    /// Where the next page begins.
    next: Option<AccountId>,
}

impl Found {
    /// The first `page` accounts, or those that are asked for.
    pub async fn read(store: &Store, cabinet: &Cabinet, project: ProjectId, asked: &Asked, page: usize) -> Result<Self> {
        let after = parts::row_id(&asked.cursor).map(AccountId);
        let limit = page as i64 + 1;
        let mut accounts =
            account_pages::of_project(store.pool(), cabinet.client, project, &asked.filter(), after, limit).await?;
        let more = accounts.len() > page;
        accounts.truncate(page);
        let next = accounts.last().filter(|_| more).map(|last| last.id);
        Ok(Self { accounts, next })
    }

    pub fn accounts(&self) -> &[AccountPage] {
        &self.accounts
    }
}

impl Asked {
    fn filter(&self) -> AccountFilter {
        AccountFilter { name: Some(self.name.clone()).filter(|name| !name.trim().is_empty()), trouble: !self.trouble.is_empty() }
    }

    fn is_narrow(&self) -> bool {
        let filter = self.filter();
        filter.name.is_some() || filter.trouble
    }

    fn link(&self, project: ProjectId, cursor: &str) -> String {
        let parameters = [("name", self.name.as_str()), ("trouble", &self.trouble), ("cursor", cursor)];
        parts::link(&page_of(project), &parameters)
    }

    /// The filter's form, where the project has more accounts than one page shows.
    pub fn form(&self, cabinet: &Cabinet, project: ProjectId, total: i64) -> Markup {
        let text = |id: &str| cabinet.visitor.text(id);
        html! {
            @if total > PAGE as i64 || self.is_narrow() {
                form.filters method="get" action=(page_of(project)) role="search" {
                    label { span { (text("search-account")) } input type="search" name="name" value=(self.name) maxlength="100" autocomplete="off"; }
                    label.switch { input type="checkbox" role="switch" name="trouble" value="1" checked[!self.trouble.is_empty()]; span { (text("only-trouble")) } }
                    button type="submit" { (text("apply")) }
                }
            }
        }
    }

    /// The cards of a page, and the ways to the others.
    pub fn list(&self, cabinet: &Cabinet, project: ProjectId, found: &Found) -> Markup {
        let text = |id: &str| cabinet.visitor.text(id);
        html! {
            @if found.accounts.is_empty() && (self.is_narrow() || !self.cursor.is_empty()) {
                div.card.empty {
                    h3 { (text("no-accounts-found")) }
                    p.muted { (text("no-accounts-found.help")) }
                    a.button href=(page_of(project)) { (text("show-all")) }
                }
            } @else { (cards(cabinet, &found.accounts)) }
            @if found.next.is_some() || !self.cursor.is_empty() {
                nav.row.pages aria-label=(text("pages")) {
                    @if !self.cursor.is_empty() { a.button #first href=(self.link(project, "")) { (text("to-first")) } }
                    @if let Some(next) = found.next { a.button #more href=(self.link(project, &next.to_string())) { (text("show-more")) } }
                }
            }
        }
    }
}

fn page_of(project: ProjectId) -> String {
    format!("/client/projects/{project}")
}

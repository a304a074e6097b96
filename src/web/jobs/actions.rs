//! Buttons of `jobs.js`: it asks in a window whether it shall be done, calls the REST interface, and looks at the page again.

use crate::web::visitor::Visitor;
use maud::{Markup, html};

/// What a button does.
#[derive(Clone, Copy)]
pub(super) struct Action<'a> {
    /// Of the button, to find it again when the page was renewed.
    pub id: &'a str,
    pub method: &'a str,
    pub url: &'a str,
    /// JSON; empty: none.
    pub body: &'a str,
    pub label: &'a str,
    pub question: &'a str,
    /// What to say when it is done.
    pub done: &'a str,
    /// Where to go then; empty: nowhere.
    pub then: &'a str,
    /// Without a frame.
    pub plain: bool,
    /// It takes something away.
    pub danger: bool,
    /// Somebody may write why.
    pub reason: bool,
}

impl Default for Action<'_> {
    fn default() -> Self {
        Self {
            id: "",
            method: "POST",
            url: "",
            body: "",
            label: "",
            question: "",
            done: "",
            then: "",
            plain: false,
            danger: false,
            reason: false,
        }
    }
}

pub(super) fn button(action: &Action<'_>) -> Markup {
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    html! {
        button.plain[action.plain].danger[action.danger] id=(action.id) type="button" data-call=(action.url) data-method=(action.method) data-body=[given(action.body)]
               data-question=(action.question) data-done=(action.done) data-then=[given(action.then)] data-reason[action.reason] { (action.label) }
    }
}

/// The window that asks; one for all buttons of a page.
pub(super) fn window(visitor: &Visitor) -> Markup {
    let text = |id: &str| visitor.text(id);
    html! {
        dialog #confirm aria-labelledby="question" {
            form.body method="dialog" {
                h2 #question {}
                label #reason hidden { span { (text("reason")) } input name="reason" maxlength="500" autocomplete="off"; }
                div.row.spread {
                    button value="" type="submit" { (text("leave-it")) }
                    button.primary #confirmed value="yes" type="submit" { (text("do-it")) }
                }
            }
        }
    }
}

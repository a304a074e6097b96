//! Changing one's password. All other sessions of the user end with it.

use super::layout;
use super::visitor::Visitor;
use crate::credentials::{self, Refused};
use crate::http::AppState;
use crate::passwords::{self, Unfit};
use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;
use tuberry_domain::Secret;
use tuberry_storage::{Error, portal_sessions};

#[derive(Deserialize)]
pub(super) struct Change {
    csrf: String,
    old: Secret<String>,
    new: Secret<String>,
    again: Secret<String>,
}

pub(super) async fn form(visitor: Visitor) -> Markup {
    page(&visitor, None, false)
}

pub(super) async fn submit(State(state): State<AppState>, visitor: Visitor, Form(change): Form<Change>) -> Response {
    match try_change(&state, &visitor, change).await {
        Ok(None) => page(&visitor, None, true).into_response(),
        Ok(Some(wrong)) => (StatusCode::UNPROCESSABLE_ENTITY, page(&visitor, Some(wrong), false)).into_response(),
        Err(error) => layout::outage(visitor.language, &error),
    }
}

/// `Some` with what is wrong.
async fn try_change(state: &AppState, visitor: &Visitor, change: Change) -> Result<Option<String>, Error> {
    if !visitor.session.fits(&change.csrf) {
        return Ok(Some(visitor.text("form-expired")));
    }
    let unfit = |id: &str, name: &'static str, limit: usize| Ok(Some(visitor.language.text_with(id, &[(name, limit.into())])));
    match passwords::check_new(&change.new) {
        Ok(()) => {}
        Err(Unfit::TooShort) => return unfit("password-length", "least", passwords::LEAST),
        Err(Unfit::TooLong) => return unfit("password-too-long", "most", passwords::MOST),
    }
    if change.new.expose() != change.again.expose() {
        return Ok(Some(visitor.text("passwords-differ")));
    }
    let user = match credentials::check(&state.store, &state.attempts, &visitor.signed_in.email, change.old).await {
        Ok(user) if user == visitor.signed_in.user.id => user,
        Ok(_) | Err(Refused::Wrong) => return Ok(Some(visitor.text("wrong-old-password"))),
        Err(Refused::TooMany(wait)) => {
            return Ok(Some(visitor.language.text_with("too-many-attempts", &[("seconds", wait.as_secs().max(1).into())])));
        }
        Err(Refused::Storage(error)) => return Err(error),
    };
    credentials::change(&state.store, &state.attempts, &visitor.signed_in.email, change.new).await?;
    portal_sessions::end_others(&state.store, user, &visitor.session.id()).await?;
    tracing::info!(user = user.0, "password changed");
    Ok(None)
}

fn page(visitor: &Visitor, wrong: Option<String>, done: bool) -> Markup {
    let text = |id: &str| visitor.text(id);
    let field = |name: &str, label: &str, complete: &str| {
        html! {
            label { span { (text(label)) } input type="password" name=(name) autocomplete=(complete) required maxlength="1024"; }
        }
    };
    layout::page(
        visitor,
        &text("change-password"),
        &[],
        html! {
            div.narrow {
                h1 { (text("change-password")) }
                section.card {
                    @if done { p.good role="status" { (text("password-changed")) } }
                    form method="post" action="/password" {
                        input type="hidden" name="csrf" value=(visitor.session.csrf());
                        (field("old", "old-password", "current-password"))
                        (field("new", "new-password", "new-password"))
                        (field("again", "new-password-again", "new-password"))
                        @if let Some(wrong) = &wrong { p.error role="alert" { (wrong) } }
                        button.primary type="submit" { (text("change-password")) }
                    }
                }
            }
        },
    )
}

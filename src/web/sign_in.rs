//! Signing in and out.

use super::texts::{Language, local};
use super::{assets, layout};
use crate::credentials::{self, Refused};
use crate::http::AppState;
use crate::sessions::{self, SessionCookie};
use axum::Form;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use tuberry_domain::Secret;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    /// The page that asked for somebody to sign in.
    next: String,
}

#[derive(Deserialize)]
pub(super) struct Credentials {
    email: String,
    password: Secret<String>,
    #[serde(default)]
    next: String,
}

pub(super) async fn form(State(state): State<AppState>, language: Language, Query(wanted): Query<Wanted>) -> Markup {
    page(&state, language, "", &wanted.next, None)
}

/// Back to the page that was wanted, or the form again with what is wrong.
pub(super) async fn submit(
    State(state): State<AppState>,
    language: Language,
    headers: HeaderMap,
    Form(form): Form<Credentials>,
) -> Response {
    let email: String = form.email.trim().chars().take(254).collect();
    match credentials::check(&state.store, &state.attempts, &email, form.password).await {
        Ok(user) => match sessions::begin(&state.store, &headers, user).await {
            Ok(cookie) => ([(header::SET_COOKIE, cookie)], Redirect::to(local(&form.next))).into_response(),
            Err(error) => layout::outage(language, &error),
        },
        Err(Refused::Wrong) => {
            (StatusCode::UNAUTHORIZED, page(&state, language, &email, &form.next, Some(language.text("wrong-password"))))
                .into_response()
        }
        Err(Refused::TooMany(wait)) => {
            let text = language.text_with("too-many-attempts", &[("seconds", wait.as_secs().max(1).into())]);
            (StatusCode::TOO_MANY_REQUESTS, page(&state, language, &email, &form.next, Some(text))).into_response()
        }
        Err(Refused::Storage(error)) => layout::outage(language, &error),
    }
}

#[derive(Deserialize)]
pub(super) struct SignOut {
    csrf: String,
}

pub(super) async fn sign_out(
    State(state): State<AppState>,
    language: Language,
    headers: HeaderMap,
    Form(form): Form<SignOut>,
) -> Response {
    // A session without its token was not asked by one of our pages: it stays.
    if SessionCookie::of(&headers).is_some_and(|session| !session.fits(&form.csrf)) {
        return Redirect::to("/").into_response();
    }
    match sessions::end(&state.store, &headers).await {
        Ok(cookie) => ([(header::SET_COOKIE, cookie)], Redirect::to("/sign-in")).into_response(),
        Err(error) => layout::outage(language, &error),
    }
}

fn page(state: &AppState, language: Language, email: &str, next: &str, wrong: Option<String>) -> Markup {
    let text = |id: &str| language.text(id);
    let (next, demo) = (local(next), state.demo.as_ref());
    let email = demo.filter(|_| email.is_empty()).map_or(email, |demo| &demo.email);
    layout::document(
        language,
        &text("sign-in"),
        None,
        &[],
        html! {
            main.narrow #main {
                section.card.sign-in {
                    img src=(assets::url("icon.svg")) alt="" width="56" height="56";
                    h1 { (text("sign-in-title")) }
                    form method="post" action="/sign-in" {
                        input type="hidden" name="next" value=(next);
                        label { span { (text("email")) }
                            input type="email" name="email" value=(email) autocomplete="username" required maxlength="254" autofocus[demo.is_none() && email.is_empty()]; }
                        label { span { (text("password")) }
                            input type="password" name="password" value=[demo.map(|demo| &demo.password)] autocomplete="current-password" required maxlength="1024" autofocus[demo.is_none() && !email.is_empty()]
                                  aria-describedby=[wrong.as_ref().map(|_| "wrong")] aria-invalid=[wrong.as_ref().map(|_| "true")]; }
                        @if let Some(wrong) = &wrong { p.error #wrong role="alert" { (wrong) } }
                        button.primary type="submit" autofocus[demo.is_some()] { (text("sign-in")) }
                    }
                    @if let Some(demo) = demo { p.hint { (text("demo-owner")) br; code { (demo.email) } " · " code { (demo.password) } } }
                    (layout::language_form(language, &format!("/sign-in?next={next}")))
                }
            }
        },
    )
}

//! The window in which an account is connected (`assets/login.js` moves it through its states), and the stream that tells it of a login.

use super::layout;
use super::live;
use super::visitor::{Cabinet, Visitor};
use crate::http::AppState;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use std::time::Duration;
use tuberry_storage::logins;

const EVERY: Duration = Duration::from_millis(300);

/// `/client/logins/{login_id}/events`: the data of an event begins with the login's stage.
pub(super) async fn events(State(state): State<AppState>, cabinet: Cabinet, Path(id): Path<String>) -> Response {
    match logins::find(state.store.pool(), cabinet.client, &id).await {
        Ok(Some(_)) => {}
        Ok(None) => return layout::not_found(cabinet.visitor.language),
        Err(error) => return layout::outage(cabinet.visitor.language, &error),
    }
    let store = state.store;
    let fingerprint = move || {
        let (store, id) = (store.clone(), id.clone());
        async move {
            let login = logins::find(store.pool(), cabinet.client, &id).await.ok()??;
            let code = login.token_expires_at.map_or(0, |until| until.timestamp_millis());
            Some(format!("{} {code} {}", login.stage.name(), login.error.is_some()))
        }
    };
    live::stream(EVERY, fingerprint).into_response()
}

/// The window, once a page. An element with `data-in` is shown in these states; what is said aloud in a state stands in `data-<state>` of
/// `#login-says`. `lifetime`: of a login.
pub(super) fn window(visitor: &Visitor, lifetime: Duration) -> Markup {
    let text = |id: &str| visitor.text(id);
    html! {
        dialog #login-window aria-labelledby="login-title" data-lifetime=(lifetime.as_secs()) data-done=(text("account-connected"))
               data-lost=(text("login-lost")) {
            div.body {
                div.window-head {
                    h2 #login-title { (text("connect-account")) }
                    button.plain.close type="button" data-close aria-label=(text("close")) { span aria-hidden="true" { "✕" } }
                }
                div.qr #login-qr data-in="waiting ready scanned" {
                    div.spinner aria-hidden="true" {}
                    img #login-code alt=(text("qr-code")) width="264" height="264" hidden;
                }
                p.says #login-says data-in="waiting ready scanned password checking" role="status" aria-live="polite" data-waiting=(text("login-waiting")) data-ready=(text("login-ready"))
                       data-scanned=(text("login-scanned")) data-password=(text("login-password")) data-checking=(text("login-checking")) {}
                @if let Some(simulator) = &visitor.simulator {
                    a.button.primary #login-phone href=(simulator) target="simulator" data-in="ready" hidden { (text("demo-scan")) }
                    p.hint data-in="ready" hidden { (text("demo-scan.help")) }
                } @else {
                    ol.steps data-in="waiting ready" {
                        li { (text("login-step-1")) }
                        li { (text("login-step-2")) }
                        li { (text("login-step-3")) }
                    }
                }
                form #login-form data-in="password checking" hidden {
                    label { span { (text("cloud-password")) }
                        input #login-password type="password" autocomplete="off" maxlength="128" required aria-describedby="login-hint login-wrong"; }
                    p.hint #login-hint hidden { (text("password-hint")) " " strong {} }
                    p.error #login-wrong role="alert" hidden {}
                    button.primary type="submit" { (text("confirm")) }
                }
                p.error #login-error role="alert" data-in="expired error" data-expired=(text("login-expired")) hidden {}
                button.primary #login-again type="button" data-in="expired error" hidden { (text("new-code")) }
                p.muted.small data-in="waiting ready password" { (text("time-left")) " " span #login-left {} }
            }
        }
    }
}

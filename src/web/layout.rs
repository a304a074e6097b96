//! What every page has around it.

use super::assets;
use super::texts::Language;
use super::visitor::Visitor;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};
use tuberry_storage::Error;

/// A page of the cabinet. `title` goes before the product's name; `scripts` are modules of `assets`.
pub(super) fn page(visitor: &Visitor, title: &str, scripts: &[&str], body: Markup) -> Markup {
    let text = |id: &str| visitor.text(id);
    let entry = |url: &str, id| {
        let here =
            visitor.path == url || visitor.path.starts_with(&format!("{url}/")) || visitor.path.starts_with(&format!("{url}?"));
        // «Проекты» stands for the root of its own tree only.
        let here = here && (url != "/client" || visitor.path == url || visitor.path.starts_with("/client/projects"));
        html! { li { a href=(url) aria-current=[here.then_some("page")] { (text(id)) } } }
    };
    let head = html! {
        header.top {
            a.brand href="/" { img src=(assets::url("icon.svg")) alt="" width="28" height="28"; span { "Tuberry" } }
            nav aria-label=(text("navigation")) {
                ul {
                    @if visitor.signed_in.user.client.is_some() {
                        (entry("/client", "projects"))
                        (entry("/client/dialogs", "dialogs"))
                        (entry("/client/settings", "settings"))
                    }
                    @if visitor.may_change() { (entry("/admin/jobs", "jobs")) }
                    @if visitor.is_platform() { (entry("/admin/workers", "workers")) }
                }
            }
            details.who {
                summary { span.truncate { (visitor.signed_in.email) } }
                div.menu {
                    @if let Some(name) = &visitor.signed_in.client_name { p.muted { (name) } }
                    a href="/password" { (text("change-password")) }
                    a href="/api/docs" { (text("api")) }
                    (language_form(visitor.language, &visitor.path))
                    form method="post" action="/sign-out" {
                        input type="hidden" name="csrf" value=(visitor.session.csrf());
                        button.plain type="submit" { (text("sign-out")) }
                    }
                }
            }
        }
    };
    document(
        visitor.language,
        title,
        Some(&visitor.session.csrf()),
        scripts,
        html! {
            a.skip href="#main" { (text("skip")) }
            (head)
            @if let Some(simulator) = &visitor.simulator { (demo_line(visitor, simulator)) }
            main #main tabindex="-1" { (body) }
            div #notices role="status" aria-live="polite" {}
        },
    )
}

/// Below the head of every page of a demo: where phones and working group are.
fn demo_line(visitor: &Visitor, simulator: &str) -> Markup {
    html! {
        aside.demo aria-label=(visitor.text("demo")) {
            p { (visitor.text("demo-line")) " " a href=(simulator) target="simulator" { (visitor.text("demo-telegram")) } }
        }
    }
}

/// The other language, as a button.
pub(super) fn language_form(language: Language, back: &str) -> Markup {
    let (code, name) = match language {
        Language::Russian => ("en", "English"),
        Language::English => ("ru", "Русский"),
    };
    html! {
        form method="post" action="/language" {
            input type="hidden" name="back" value=(back);
            input type="hidden" name="language" value=(code);
            button.plain type="submit" lang=(code) { (name) }
        }
    }
}

/// The bare document.
pub(super) fn document(language: Language, title: &str, csrf: Option<&str>, scripts: &[&str], body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(language.code()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if let Some(csrf) = csrf { meta name="csrf" content=(csrf); }
                title { (title) " · Tuberry" }
                link rel="icon" href=(assets::url("icon.svg")) type="image/svg+xml";
                link rel="stylesheet" href=(assets::url("app.css"));
                script type="module" src=(assets::url("app.js")) {}
                @for script in scripts { script type="module" src=(assets::url(script)) {} }
            }
            body { (body) }
        }
    }
}

/// A page that says why there is nothing else: `text` and what to do are texts' ids (`text`, `text.help`).
fn apology(language: Language, status: StatusCode, text: &str) -> Response {
    let title = language.text(text);
    let page = document(
        language,
        &title,
        None,
        &[],
        html! {
            main.narrow #main {
                section.card { h1 { (title) } p { (language.text(&format!("{text}.help"))) } p { a href="/" { (language.text("home")) } } }
            }
        },
    );
    (status, page).into_response()
}

/// 503.
pub(super) fn outage(language: Language, error: &Error) -> Response {
    tracing::warn!(%error, "a page without its data");
    apology(language, StatusCode::SERVICE_UNAVAILABLE, "outage")
}

/// 403.
pub(super) fn refused(visitor: &Visitor, text: &str) -> Response {
    apology(visitor.language, StatusCode::FORBIDDEN, text)
}

/// 404.
pub(super) fn not_found(language: Language) -> Response {
    apology(language, StatusCode::NOT_FOUND, "not-found")
}

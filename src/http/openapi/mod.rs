//! `GET /api/openapi.json`: the description of this interface. Every handler carries its own part (`#[utoipa::path]`); what holds for many of
//! them, examples and links are added by [`rules`], [`example`] and [`links`].

mod example;
mod links;
mod rules;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::LazyLock;
use utoipa::openapi::OpenApi;

/// What stands before everything else.
const INTRODUCTION: &str = "\
Connects employees' personal Telegram accounts, and shows what they talk about with customers.

Bodies are JSON objects in UTF-8; unknown fields are ignored. Every error is `application/problem+json` with a `detail` in Russian that may be \
shown to the user. A method that an address does not take is answered with 405 and `Allow`. Times are RFC 3339 in UTC. Addresses answer with and without a trailing slash. What belongs to another client is answered \
with 404, as if it did not exist. `x-request-id` may be given and is always answered: it stands in the log, and in the jobs that the request \
caused.

Sign in with `POST /api/auth/login`, or take a token of the platform, and send `Authorization: Bearer …`. In a browser the portal's session \
cookie counts, too; whatever changes something then needs `x-csrf-token`. Managers read, owners and admins change things.";

const TAGS: [(&str, &str); 10] = [
    ("sign-in", "A token for an e-mail address and a password."),
    ("accounts", "The connected personal accounts."),
    ("logins", "Connecting an account by QR code, with a 2FA password where it has one."),
    ("projects", "What accounts and a managing bot are grouped by."),
    ("bots", "The managing bots, and the working group of each."),
    ("chats", "Where the managing bots are members."),
    ("dialogs", "Customers' conversations with the accounts."),
    (
        "jobs",
        "What the queue does, for owners and admins; the platform's administrator (an admin without a client) sees all clients'.",
    ),
    ("webhooks", "What Telegram calls."),
    ("service", "For whoever runs the service."),
];

/// The whole description.
pub(crate) static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = json(super::open().into_openapi());
    let mut protected = json(super::protected().into_openapi());
    rules::protect(&mut protected);
    for part in ["/paths", "/components/schemas"] {
        let theirs = protected.pointer_mut(part).map(Value::take).unwrap_or_default();
        if let (Some(Value::Object(all)), Value::Object(theirs)) = (document.pointer_mut(part), theirs) {
            all.extend(theirs);
        }
    }
    document["openapi"] = "3.1.0".into();
    document["info"] = json!({
        "title": "Tuberry: personal Telegram accounts",
        "version": env!("CARGO_PKG_VERSION"),
        "description": INTRODUCTION,
    });
    document["tags"] = TAGS.iter().map(|(name, description)| json!({ "name": name, "description": description })).collect();
    document["components"]["schemas"]["Problem"] = rules::problem();
    document["components"]["securitySchemes"] = rules::security_schemes();
    rules::complete(&mut document);
    links::add(&mut document);
    document
});

static TEXT: LazyLock<String> = LazyLock::new(|| DOCUMENT.to_string());

fn json(part: OpenApi) -> Value {
    serde_json::to_value(part).expect("a description has no keys but texts")
}

/// Describes this interface.
#[utoipa::path(
    get,
    path = "/api/openapi.json",
    operation_id = "describe",
    tag = "service",
    responses(
        (status = 200, description = "OpenAPI 3.1.", body = Object, example = json!({ "openapi": "3.1.0" })),
    )
)]
pub(super) async fn serve() -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], TEXT.as_str()).into_response()
}

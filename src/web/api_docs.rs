//! `/api/docs`: the REST interface's description for people, rendered from the same document that programs get.

use super::layout;
use super::texts::Language;
use crate::http::DOCUMENT;
use maud::{Markup, html};
use serde_json::Value;

/// Open to anybody: it tells nothing of anybody's data.
pub(super) async fn show(language: Language) -> Markup {
    let text = |id: &str| language.text(id);
    let document = &*DOCUMENT;
    let title = text("api");
    let tags = document["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    let body = html! {
        a.skip href="#main" { (text("skip")) }
        main #main tabindex="-1" {
            div.heading {
                h1 { (title) }
                div.row { a href="/" { (text("home")) } a href="/api/openapi.json" { "openapi.json" } (layout::language_form(language, "/api/docs")) }
            }
            section.card lang="en" {
                @for paragraph in words(&document["info"]["description"]).split("\n\n") { p { (prose(paragraph)) } }
            }
            nav.row aria-label=(text("navigation")) {
                @for tag in tags { a href={ "#" (words(&tag["name"])) } { (words(&tag["name"])) } }
                a href="#schemas" { (text("api-schemas")) }
            }
            @for tag in tags {
                section.stack id=(words(&tag["name"])) {
                    div { h2 { (words(&tag["name"])) } p.hint lang="en" { (prose(words(&tag["description"]))) } }
                    @for (path, verb, operation) in operations(document, words(&tag["name"])) { (route(language, path, verb, operation)) }
                }
            }
            section.stack #schemas {
                h2 { (text("api-schemas")) }
                @for (name, schema) in entries(&document["components"]["schemas"]) {
                    section.card id={ "schema-" (name) } lang="en" {
                        h3 { (name) }
                        @if let Some(description) = schema["description"].as_str() { p { (prose(description)) } }
                        (fields(schema))
                    }
                }
            }
        }
    };
    layout::document(language, &title, None, &[], body)
}

fn route(language: Language, path: &str, verb: &str, operation: &Value) -> Markup {
    let text = |id: &str| language.text(id);
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let asked = content(&operation["requestBody"]);
    html! {
        details.card.route {
            summary { strong { (verb.to_uppercase()) } " " code { (path) } " " span.muted lang="en" { (prose(words(&operation["summary"]))) } }
            div.stack lang="en" {
                @if let Some(description) = operation["description"].as_str() { p { (prose(description)) } }
                @if operation.get("security").is_none() { p.hint lang=(language.code()) { (text("api-open")) } }
                @if !parameters.is_empty() {
                    h3 lang=(language.code()) { (text("api-parameters")) }
                    (table(parameters.iter().map(|parameter| {
                        let name = html! { code { (words(&parameter["name"])) } br; span.hint { (words(&parameter["in"])) } };
                        [name, kind(&parameter["schema"]), prose(words(&parameter["description"]))]
                    })))
                }
                @if let Some((_, body)) = asked {
                    h3 lang=(language.code()) { (text("api-body")) }
                    p { (kind(&body["schema"])) }
                    (example(&body["example"]))
                }
                h3 lang=(language.code()) { (text("api-answers")) }
                (table(entries(&operation["responses"]).map(|(status, answer)| {
                    let shape = match content(answer) {
                        Some(("application/json", content)) => kind(&content["schema"]),
                        Some(("application/problem+json", _)) => link("Problem"),
                        Some((media, _)) => html! { code { (media) } },
                        None => html! { "–" },
                    };
                    [html! { strong { (status) } }, shape, prose(words(&answer["description"]))]
                })))
                @for (status, answer) in entries(&operation["responses"]).filter(|(status, _)| status.starts_with('2')) {
                    @if let Some(("application/json", content)) = content(answer) {
                        h3 lang=(language.code()) { (text("api-example")) " " (status) }
                        (example(&content["example"]))
                    }
                }
            }
        }
    }
}

/// The routes of a tag.
fn operations<'a>(document: &'a Value, tag: &'a str) -> impl Iterator<Item = (&'a str, &'a str, &'a Value)> {
    let all = entries(&document["paths"]).flat_map(|(path, item)| entries(item).map(move |(verb, of)| (path, verb, of)));
    all.filter(move |(_, _, operation)| operation["tags"][0] == tag)
}

/// Media type and content of a body.
fn content(described: &Value) -> Option<(&str, &Value)> {
    entries(&described["content"]).next()
}

fn fields(schema: &Value) -> Markup {
    let parts = schema["allOf"].as_array().map(Vec::as_slice).unwrap_or_default();
    let required = |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|given| given == name));
    html! {
        @for part in parts {
            @if part.get("$ref").is_some() { p { (kind(part)) " +" } } @else { (fields(part)) }
        }
        @if schema["properties"].is_object() {
            (table(entries(&schema["properties"]).map(|(name, field)| {
                let name = html! { code { (name) } @if required(name) { " *" } };
                [name, kind(field), prose(words(&field["description"]))]
            })))
        } @else if parts.is_empty() { p { (kind(schema)) } }
    }
}

/// What a value can be, in short.
fn kind(schema: &Value) -> Markup {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return link(name);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        return html! { @for (number, choice) in choices.iter().enumerate() { @if number > 0 { " | " } (kind(choice)) } };
    }
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(words).collect::<Vec<_>>().join(" | "),
        kind => words(kind).to_owned(),
    };
    let limits = [("minimum", "≥"), ("maximum", "≤"), ("minLength", "length ≥"), ("maxLength", "length ≤")];
    html! {
        @if schema["type"] == "array" { "[" (kind(&schema["items"])) "]" } @else { (kinds) }
        @if let Some(format) = schema["format"].as_str() { ", " (format) }
        @for (name, sign) in limits {
            @match schema[name].as_i64() {
                Some(0 | i64::MIN | i64::MAX) | None => {}
                Some(limit) if limit == i64::from(i32::MIN) || limit == i64::from(i32::MAX) => {}
                Some(limit) => { ", " (sign) " " (limit) }
            }
        }
        @if let Some(pattern) = schema["pattern"].as_str() { " " code { (pattern) } }
        @for word in schema["enum"].as_array().into_iter().flatten() { " " code { (words(word)) } }
    }
}

fn link(name: &str) -> Markup {
    html! { a href={ "#schema-" (name) } { (name) } }
}

fn table(rows: impl Iterator<Item = [Markup; 3]>) -> Markup {
    html! { div.scroll.described { table { tbody { @for row in rows { tr { @for cell in row { td { (cell) } } } } } } } }
}

fn example(value: &Value) -> Markup {
    html! { pre { (serde_json::to_string_pretty(value).unwrap_or_default()) } }
}

/// Text in which `…` marks code.
fn prose(text: &str) -> Markup {
    html! { @for (number, part) in text.split('`').enumerate() { @if number % 2 == 1 { code { (part) } } @else { (part) } } }
}

fn words(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn entries(object: &Value) -> impl Iterator<Item = (&str, &Value)> {
    object.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

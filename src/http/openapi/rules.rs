//! What holds for many routes at once and would be tedious, or forgotten, at each: who may call, what can be wrong with any body, and that every
//! error is a problem. In a description of an error, the text in «…» is what its example's `detail` says.

use super::example;
use crate::http::problem;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use utoipa::PartialSchema;

/// Names the ways to sign in.
pub(super) fn security_schemes() -> Value {
    json!({
        "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "HS256, claims `sub` (the user's id) and `exp`." },
        "session": { "type": "apiKey", "in": "cookie", "name": "tuberry_session", "description": "Of a browser that is signed in to the portal." },
        "csrf": { "type": "apiKey", "in": "header", "name": "x-csrf-token", "description": "The session's, from `<meta name=\"csrf\">` of any page." },
    })
}

/// The schema of errors.
pub(super) fn problem() -> Value {
    serde_json::to_value(problem::Body::schema()).expect("a schema has no keys but texts")
}

/// Says of every route that it wants somebody who is signed in, and what it answers if not.
pub(super) fn protect(part: &mut Value) {
    for_each_operation(part, |path, verb, operation| {
        let reads = verb == "get";
        operation.insert(
            "security".into(),
            match reads {
                true => json!([{ "token": [] }, { "session": [] }]),
                false => json!([{ "token": [] }, { "session": [], "csrf": [] }]),
            },
        );
        let has_body = operation.contains_key("requestBody");
        let answers = answers(operation);
        if has_body {
            also(answers, 400, "The body is no JSON, or the user belongs to no client: «Тело запроса не является JSON».");
        }
        also(answers, 400, "The user belongs to no client: «Пользователь не привязан к клиенту».");
        also(answers, 401, "No token or session, or one that has ended: «Войдите в систему».");
        if path.starts_with("/api/jobs/kinds/") {
            also(answers, 403, "Not the platform's administrator: «Недостаточно прав: только для администратора платформы».");
        } else if path.starts_with("/api/jobs") {
            also(answers, 403, "Managers see no jobs: «Недостаточно прав: задания видят владелец и администратор».");
        } else if !reads {
            also(answers, 403, "Managers change nothing: «Недостаточно прав: изменять может владелец или администратор».");
        }
    });
}

/// Adds to every route what any body, parameter or database can lead to, the problem's body to every error, examples, and exact schemas.
pub(super) fn complete(document: &mut Value) {
    bound_integers(document);
    let asked = schemas_asked_for(document);
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        // What we answer with is always there; what we are asked for says itself what must be.
        schemas.iter_mut().filter(|(name, _)| !asked.contains(*name)).for_each(|(_, schema)| require_everything(schema));
    }
    for_each_operation(document, |path, _, operation| {
        let has_body = operation.contains_key("requestBody");
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
        let mut has_query = false;
        for parameter in parameters.into_iter().flatten() {
            has_query |= parameter["in"] == "query";
            take_null_away(&mut parameter["schema"]);
        }
        let answers = answers(operation);
        if has_body {
            also(answers, 400, "The body is no JSON: «Тело запроса не является JSON».");
            also(answers, 413, "More than 64 KiB: «Запрос слишком большой».");
            also(answers, 415, "Another content type: «Тело запроса должно быть JSON: укажите Content-Type: application/json».");
            also(answers, 422, "A value does not fit: «Неподходящее значение в запросе (строка 1, символ 17)».");
        }
        if has_query {
            also(answers, 422, "A parameter does not fit: «Неподходящий параметр в адресе».");
        }
        if !matches!(path, "/healthz" | "/readyz" | "/api/openapi.json") {
            also(answers, 500, "A fault of the service: «Внутренняя ошибка: попробуйте ещё раз».");
            also(answers, 503, "The database does not answer: «База данных недоступна: попробуйте ещё раз».");
        }
        answers.iter_mut().for_each(|(status, answer)| finish(status, answer));
    });
    example::add(document);
}

/// Calls `visit` with path, verb and description of every operation.
pub(super) fn for_each_operation(document: &mut Value, mut visit: impl FnMut(&str, &str, &mut Map<String, Value>)) {
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        for (verb, operation) in item.as_object_mut().into_iter().flatten() {
            if let Value::Object(operation) = operation {
                visit(path, verb, operation);
            }
        }
    }
}

fn answers(operation: &mut Map<String, Value>) -> &mut Map<String, Value> {
    let answers = operation.entry("responses").or_insert_with(|| json!({}));
    answers.as_object_mut().expect("answers are an object by their status")
}

fn also(answers: &mut Map<String, Value>, status: u16, description: &str) {
    answers.entry(status.to_string()).or_insert_with(|| json!({ "description": description }));
}

/// Headers of every answer, and the body of errors.
fn finish(status: &str, answer: &mut Value) {
    let text = || json!({ "type": "string" });
    let mut headers = json!({ "x-request-id": { "required": true, "description": "The request in the log.", "schema": text() } });
    let seconds = |required: bool| json!({ "required": required, "description": "Seconds to wait.", "schema": { "type": "integer", "minimum": 1 } });
    match status {
        "401" => headers["www-authenticate"] = json!({ "required": true, "description": "`Bearer`.", "schema": text() }),
        "429" => headers["retry-after"] = seconds(true),
        "503" => headers["retry-after"] = seconds(false),
        _ => {}
    }
    answer["headers"] = headers;
    let number: u16 = status.parse().unwrap_or_default();
    if number >= 400 && answer.get("content").is_none() {
        let description = answer["description"].as_str().unwrap_or_default();
        let detail = description.split_once('«').and_then(|(_, rest)| rest.rsplit_once('»')).map(|(detail, _)| detail);
        let title = axum::http::StatusCode::from_u16(number).ok().and_then(|status| status.canonical_reason());
        let example = json!({ "type": "about:blank", "title": title, "status": number, "detail": detail });
        let schema = json!({ "$ref": "#/components/schemas/Problem" });
        answer["content"] = json!({ "application/problem+json": { "schema": schema, "example": example } });
    }
}

/// Names of the schemas of requests' bodies.
fn schemas_asked_for(document: &mut Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for_each_operation(document, |_, _, operation| {
        let body = operation.get("requestBody").and_then(|body| body.pointer("/content/application~1json/schema/$ref"));
        names.extend(body.and_then(Value::as_str).and_then(|path| path.rsplit('/').next()).map(str::to_owned));
    });
    names
}

fn require_everything(schema: &mut Value) {
    if let Some(properties) = schema["properties"].as_object() {
        schema["required"] = properties.keys().cloned().collect();
    }
    schema.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten().for_each(require_everything);
}

/// A parameter is absent, never null.
fn take_null_away(schema: &mut Value) {
    if let Some(types) = schema["type"].as_array() {
        schema["type"] = types.iter().find(|kind| **kind != "null").cloned().unwrap_or_default();
    }
    let choice = schema["oneOf"].as_array().and_then(|choices| choices.iter().find(|choice| choice["type"] != "null").cloned());
    if let Some(choice) = choice {
        *schema = choice;
    }
}

/// Formats alone bound nothing.
fn bound_integers(value: &mut Value) {
    let bounds = match value.get("format").and_then(Value::as_str) {
        Some("int32") => Some((i64::from(i32::MIN), i64::from(i32::MAX))),
        Some("int64") => Some((i64::MIN, i64::MAX)),
        _ => None,
    };
    match value {
        Value::Object(object) => {
            if let Some((least, most)) = bounds {
                object.entry("minimum").or_insert(least.into());
                object.entry("maximum").or_insert(most.into());
            }
            object.values_mut().for_each(bound_integers);
        }
        Value::Array(items) => items.iter_mut().for_each(bound_integers),
        _ => {}
    }
}

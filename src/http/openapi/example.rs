//! Examples of bodies, put together from those of their schemas' fields.

use super::rules::for_each_operation;
use serde_json::{Map, Value, json};

/// Gives every JSON body that has no example one.
pub(super) fn add(document: &mut Value) {
    let schemas = document["components"]["schemas"].take();
    for_each_operation(document, |_, _, operation| {
        if let Some(body) = operation.get_mut("requestBody") {
            add_to(&schemas, body);
        }
        let answers = operation.get_mut("responses").and_then(Value::as_object_mut);
        answers.into_iter().flat_map(Map::values_mut).for_each(|answer| add_to(&schemas, answer));
    });
    document["components"]["schemas"] = schemas;
}

fn add_to(schemas: &Value, described: &mut Value) {
    if let Some(content) = described.pointer_mut("/content/application~1json").and_then(Value::as_object_mut) {
        let example = of(schemas, &content["schema"]);
        content.entry("example").or_insert(example);
    }
}

/// An example of what fits `schema`, which may name one of `schemas`.
fn of(schemas: &Value, schema: &Value) -> Value {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return of(schemas, &schemas[name]);
    }
    if let Some(example) = schema.get("example").or_else(|| schema["examples"].get(0)) {
        return example.clone();
    }
    if let Some(word) = schema["enum"].get(0) {
        return word.clone();
    }
    if let Some(properties) = schema["properties"].as_object() {
        return properties.iter().map(|(name, schema)| (name.clone(), of(schemas, schema))).collect();
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let parts = parts.iter().filter_map(|part| of(schemas, part).as_object().cloned());
        return Value::Object(parts.flatten().collect());
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let choice = choices.iter().find(|choice| choice["type"] != "null");
        return choice.map(|choice| of(schemas, choice)).unwrap_or_default();
    }
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.as_slice(),
        kind => std::slice::from_ref(kind),
    };
    let kind = kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null");
    match (kind, schema["format"].as_str()) {
        (Some("array"), _) => json!([of(schemas, &schema["items"])]),
        (Some("integer"), _) => json!(1),
        (Some("boolean"), _) => json!(true),
        (Some("string"), Some("date-time")) => json!("2026-11-25T12:00:00Z"),
        (Some("string"), _) => json!("text"),
        (Some("object"), _) => json!({}),
        _ => Value::Null,
    }
}

//! Columns that hold one of a few words, as the description of the REST interface shows them.

use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

/// A text that is one of these.
pub fn words<const N: usize>(description: &str, words: [&'static str; N]) -> Object {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description)).enum_values(Some(words)).build()
}

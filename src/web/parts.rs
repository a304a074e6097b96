//! Small things that several pages show.

use axum::http::Uri;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A time, which `app.js` writes as the visitor reads it: as a distance from now.
pub(super) fn ago(at: DateTime<Utc>) -> Markup {
    time(at, None)
}

/// The same as a date with seconds.
pub(super) fn exact(at: DateTime<Utc>) -> Markup {
    time(at, Some("exact"))
}

fn time(at: DateTime<Utc>, form: Option<&str>) -> Markup {
    html! { time datetime=(at.format("%Y-%m-%dT%H:%M:%S%.3fZ")) data-form=[form] { (at.format("%d.%m.%Y %H:%M")) " UTC" } }
}

/// `path` with those of the parameters that are not empty.
pub(super) fn link(path: &str, parameters: &[(&str, &str)]) -> String {
    let given = parameters.iter().filter(|(_, value)| !value.is_empty());
    let url = reqwest::Url::parse_with_params("http://x", given).expect("a URL");
    match url.query() {
        Some(query) if !query.is_empty() => format!("{path}?{query}"),
        _ => path.to_owned(),
    }
}

/// The query of the page itself, for its stream: the same things are to be watched.
pub(super) fn watched(path: &str, uri: &Uri) -> String {
    uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
}

/// A short text that differs when what a page shows differs.
pub(super) fn fingerprint(shown: &impl Debug) -> String {
    let mut hasher = DefaultHasher::new();
    format!("{shown:?}").hash(&mut hasher);
    format!("{:x}", hasher.finish())
}

/// A row's id as a filter's field holds it; what is none filters nothing.
pub(super) fn row_id(text: &str) -> Option<i32> {
    text.trim().parse().ok().filter(|id| *id > 0)
}

/// The first characters of a text, and whether there are more.
pub(super) fn beginning(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_holds_what_is_given() {
        assert_eq!(link("/a", &[("q", ""), ("b", "")]), "/a");
        assert_eq!(link("/a", &[("q", "а&б"), ("b", "1")]), "/a?q=%D0%B0%26%D0%B1&b=1");
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(beginning("привет", 6), "привет");
        assert_eq!(beginning("привет", 3), "при…");
    }
}

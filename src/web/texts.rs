//! The portal's words, in Russian and English (Fluent): `texts/ru.ftl`, `texts/en.ftl`. The language is what the visitor chose (a cookie), else what
//! the browser prefers, else Russian.

use crate::sessions::cookie;
use axum::Form;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::LazyLock;

const COOKIE: &str = "tuberry_language";

/// A language of the portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Русский.
    Russian,
    /// English.
    English,
}

struct Texts {
    russian: FluentBundle<FluentResource>,
    english: FluentBundle<FluentResource>,
}

static TEXTS: LazyLock<Texts> = LazyLock::new(|| Texts {
    russian: bundle("ru", include_str!("texts/ru.ftl")),
    english: bundle("en", include_str!("texts/en.ftl")),
});

fn bundle(language: &str, source: &str) -> FluentBundle<FluentResource> {
    let resource = FluentResource::try_new(source.to_owned()).unwrap_or_else(|(_, errors)| panic!("{language}.ftl: {errors:?}"));
    let mut bundle = FluentBundle::new_concurrent(vec![language.parse().expect("a language")]);
    bundle.set_use_isolating(false);
    bundle.add_resource(resource).unwrap_or_else(|errors| panic!("{language}.ftl: {errors:?}"));
    bundle
}

impl Language {
    /// For `<html lang>` and the cookie.
    pub fn code(self) -> &'static str {
        match self {
            Self::Russian => "ru",
            Self::English => "en",
        }
    }

    /// The text `id`.
    pub fn text(self, id: &str) -> String {
        self.text_with(id, &[])
    }

    /// The text `id` with its arguments.
    pub fn text_with(self, id: &str, arguments: &[(&str, FluentValue<'_>)]) -> String {
        let bundle = match self {
            Self::Russian => &TEXTS.russian,
            Self::English => &TEXTS.english,
        };
        let (name, attribute) = id.split_once('.').map_or((id, None), |(name, attribute)| (name, Some(attribute)));
        let pattern = bundle.get_message(name).and_then(|message| match attribute {
            None => message.value(),
            Some(attribute) => message.get_attribute(attribute).map(|attribute| attribute.value()),
        });
        let Some(pattern) = pattern else {
            tracing::error!(id, language = self.code(), "a text is missing");
            return id.to_owned();
        };
        let arguments: FluentArgs<'_> = arguments.iter().map(|(name, value)| (*name, value.clone())).collect();
        bundle.format_pattern(pattern, Some(&arguments), &mut Vec::new()).into_owned()
    }

    fn of(headers: &HeaderMap) -> Self {
        let chosen = cookie(headers, COOKIE);
        let preferred = || headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        match chosen {
            Some("en") => Self::English,
            Some("ru") => Self::Russian,
            _ => preferred().map_or(Self::Russian, preferred_of),
        }
    }
}

/// The one of ours that stands first by weight; Russian where neither does.
fn preferred_of(accept: &str) -> Language {
    let weight = |language: &str| {
        let ranges = accept.split(',').filter_map(|range| {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, "q=1"));
            let fits = tag.trim().split('-').next().is_some_and(|primary| primary.eq_ignore_ascii_case(language));
            fits.then(|| parameters.trim().strip_prefix("q=")?.parse::<f32>().ok()).flatten()
        });
        ranges.fold(0.0, f32::max)
    };
    if weight("en") > weight("ru") { Language::English } else { Language::Russian }
}

impl<S: Send + Sync> FromRequestParts<S> for Language {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

#[derive(Deserialize)]
pub(super) struct Choice {
    language: String,
    /// The page to come back to.
    back: String,
}

/// Remembers the language for a year. It changes nothing that anybody else could see: no CSRF token is asked for.
pub(super) async fn choose(Form(choice): Form<Choice>) -> Response {
    let language = if choice.language == "en" { "en" } else { "ru" };
    let cookie = format!("{COOKIE}={language}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly");
    ([(header::SET_COOKIE, cookie)], Redirect::to(local(&choice.back))).into_response()
}

/// `path` where it is one of our own, else `/`. Browsers read a backslash as a slash, and remove tabs and line ends from an address (URL Standard,
/// "basic URL parser"), so either could turn a path into another host. Other control characters cannot stand in the `Location` header.
pub(super) fn local(path: &str) -> &str {
    let ours = path.starts_with('/') && !path.starts_with("//") && !path.contains(|c: char| c == '\\' || c.is_control());
    if ours { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn ids(source: &str) -> BTreeSet<&str> {
        source
            .lines()
            .filter_map(|line| line.split_once(" ="))
            .map(|(id, _)| id.trim())
            .filter(|id| !id.starts_with('#'))
            .collect()
    }

    #[test]
    fn both_languages_say_the_same_things() {
        assert_eq!(ids(include_str!("texts/ru.ftl")), ids(include_str!("texts/en.ftl")));
        assert_eq!(Language::English.text("sign-in"), "Sign in");
        assert_eq!(Language::Russian.text("sign-in"), "Войти");
    }

    #[test]
    fn the_browsers_preference_counts_by_weight() {
        assert_eq!(preferred_of("en-US,en;q=0.9"), Language::English);
        assert_eq!(preferred_of("ru,en;q=0.9"), Language::Russian);
        assert_eq!(preferred_of("de, en;q=0.4, ru;q=0.5"), Language::Russian);
        assert_eq!(preferred_of("de"), Language::Russian);
    }

    #[test]
    fn only_our_own_pages_are_come_back_to() {
        assert_eq!(local("/client?x=1"), "/client?x=1");
        let spellings = ["https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example", "/\n/evil.example"];
        for foreign in spellings.into_iter().chain(["javascript:1", "", "/client\0", "/client\x7f"]) {
            assert_eq!(local(foreign), "/");
        }
    }
}

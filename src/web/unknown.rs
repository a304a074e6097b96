//! What answers where nothing else does: a page for people, a problem for programs.

use super::layout;
use super::texts::Language;
use crate::http::no_such_route;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::response::{IntoResponse, Response};

pub(super) async fn answer(method: Method, uri: Uri, headers: HeaderMap, language: Language) -> Response {
    let of_pages = uri.path() != "/api" && !uri.path().starts_with("/api/");
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let wants_a_page = accepted.into_iter().any(|value| value.contains("text/html"));
    if matches!(method, Method::GET | Method::HEAD) && of_pages && wants_a_page {
        layout::not_found(language)
    } else {
        no_such_route().await.into_response()
    }
}

//! Stylesheet and scripts, part of the binary. Their address holds a hash of them all: browsers keep them for good, and an upgrade changes it.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

const SCRIPT: &str = "text/javascript; charset=utf-8";

const FILES: &[(&str, &str, &str)] = &[
    ("app.css", "text/css; charset=utf-8", include_str!("assets/app.css")),
    ("app.js", SCRIPT, include_str!("assets/app.js")),
    ("dialog.js", SCRIPT, include_str!("assets/dialog.js")),
    ("jobs.js", SCRIPT, include_str!("assets/jobs.js")),
    ("accounts.js", SCRIPT, include_str!("assets/accounts.js")),
    ("forms.js", SCRIPT, include_str!("assets/forms.js")),
    ("login.js", SCRIPT, include_str!("assets/login.js")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    FILES.iter().for_each(|(_, _, text)| hash.update(text));
    URL_SAFE_NO_PAD.encode(&hash.finalize()[..9])
});

/// Where a file is.
pub(super) fn url(file: &str) -> String {
    debug_assert!(FILES.iter().any(|(name, _, _)| *name == file), "{file}");
    format!("/assets/{}/{file}", *VERSION)
}

/// A file, whatever version is asked for: a page that was loaded before an upgrade gets the new one.
pub(super) async fn serve(Path((_, file)): Path<(String, String)>) -> Response {
    match FILES.iter().find(|(name, _, _)| *name == file) {
        Some((_, kind, text)) => {
            ([(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")], *text)
                .into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

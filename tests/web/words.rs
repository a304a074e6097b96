//! Every text that the portal's code names is there in both languages.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Texts of a language, attributes as `id.attribute`.
fn texts(language: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/web/texts/{language}.ftl"));
    let (mut texts, mut message) = (BTreeSet::new(), String::new());
    for line in fs::read_to_string(path).unwrap().lines() {
        let Some((id, _)) = line.split_once(" =") else { continue };
        if let Some(attribute) = id.trim().strip_prefix('.') {
            texts.insert(format!("{message}.{attribute}"));
        } else if id.starts_with(|letter: char| letter.is_ascii_lowercase()) {
            message = id.to_owned();
            texts.insert(message.clone());
        }
    }
    texts
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The ids in `text("…")`, `text_with("…", …)` and `refused(…, "…")` of a source.
fn named(source: &str) -> Vec<&str> {
    let calls = ["text(", "text_with(", "refused(&visitor, ", "refused(visitor, "];
    let named = calls.iter().flat_map(|call| source.match_indices(call).map(|(at, call)| source[at + call.len()..].trim_start()));
    named
        .filter_map(|rest| Some(rest.strip_prefix('"')?.split_once('"')?.0))
        .filter(|id| !id.is_empty() && !id.contains('{'))
        .collect()
}

#[test]
fn every_text_that_is_named_is_there_in_both_languages() {
    let (russian, english) = (texts("ru"), texts("en"));
    assert_eq!(russian, english);
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web"), &mut files);
    let mut count = 0;
    for file in files {
        let source = fs::read_to_string(&file).unwrap();
        for id in named(&source) {
            assert!(russian.contains(id), "{}: no text {id}", file.display());
            count += 1;
        }
    }
    assert!(count > 100, "the calls are not where this test looks: {count}");
}

#[test]
fn the_scan_sees_what_it_looks_for() {
    assert_eq!(
        named("(text(\"a\")) visitor.language.text_with(\n    \"b.help\", &[]) refused(visitor, \"c\") text(&format!(\"d\"))"),
        ["a", "b.help", "c"]
    );
}

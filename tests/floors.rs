//! The arrows of `docs/architecture.md` that Cargo cannot forbid: who may name what. Reads the sources, not the compiler's mind, so
//! a name in a comment counts only where it is code: comments are taken out first.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Where a name may stand.
struct Rule {
    /// Words, as they stand in code. A word does not match inside a longer identifier.
    words: &'static [&'static str],
    /// Path prefixes whose files are looked at.
    within: &'static [&'static str],
    /// Path prefixes whose files may use the words.
    allowed: &'static [&'static str],
    why: &'static str,
}

const EVERYWHERE: &[&str] = &["src/", "jobs/", "crates/", "tests/", "benches/"];

const RULES: &[Rule] = &[
    Rule {
        words: &["apalis_core", "apalis_postgres", "apalis_board"],
        within: EVERYWHERE,
        allowed: &["jobs/src/queue/", "benches/queue/"],
        why: "only the queue knows apalis; its bench measures apalis' own backend beside it",
    },
    Rule {
        // In code this is the schema's name, in SQL.
        words: &["apalis"],
        within: EVERYWHERE,
        allowed: &["jobs/src/queue/", "tests/", "benches/"],
        why: "only the queue knows apalis' tables; tests look at them",
    },
    Rule {
        words: &["grammers_session", "grammers_mtsender", "grammers_crypto", "grammers_tl_types", "grammers_mtproto"],
        within: EVERYWHERE,
        allowed: &["crates/telegram/", "crates/simulator/"],
        why: "MTProto stays behind the ports",
    },
    Rule {
        words: &["tuberry_telegram", "fleet"],
        within: &["src/http/", "src/web/"],
        allowed: &[],
        why: "the edges of HTTP enqueue jobs; they own no account and call no Telegram",
    },
    Rule { words: &["tuberry_telegram"], within: &["jobs/"], allowed: &[], why: "jobs see the ports of domain only" },
    Rule {
        // The embedded cluster makes databases, and tests look at rows that no interface shows.
        words: &["query", "query_as", "query_scalar", "query_with", "raw_sql", "QueryBuilder"],
        within: EVERYWHERE,
        allowed: &["crates/storage/", "jobs/src/queue/", "src/embedded/", "tests/", "benches/"],
        why: "SQL stands in crates/storage and jobs/src/queue",
    },
    Rule {
        words: &["tokio", "sqlx", "reqwest", "axum", "std::fs", "TcpStream", "TcpListener", "UdpSocket"],
        within: &["crates/domain/"],
        allowed: &[],
        why: "domain does no IO",
    },
    Rule {
        words: &["tuberry", "tuberry_domain", "tuberry_storage", "tuberry_jobs", "tuberry_telegram"],
        within: &["crates/simulator/"],
        allowed: &[],
        why: "the simulator knows Telegram's protocols and nothing of us",
    },
];

/// Which packages of this workspace a package may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("crates/domain", &[]),
    ("crates/storage", &["tuberry-domain"]),
    ("crates/telegram", &["tuberry-domain"]),
    ("crates/simulator", &[]),
    ("jobs", &["tuberry-domain", "tuberry-storage"]),
];

/// Dependencies that one package alone may have, by prefix of their names.
const KEPT_APART: &[(&str, &[&str])] = &[("apalis", &["jobs"]), ("grammers", &["crates/telegram", "crates/simulator"])];

#[test]
fn no_source_names_what_its_floor_must_not_know() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "jobs", "crates", "tests", "benches"] {
        sources(&root.join(folder), &mut files);
    }
    assert!(files.len() > 20, "the sources are not where this test looks");
    let mut found = Vec::new();
    for file in files {
        let name = file.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        if name != "tests/floors.rs" {
            found.extend(broken_rules(&name, &fs::read_to_string(&file).unwrap()));
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn no_package_depends_upwards() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let members: BTreeSet<&str> = ARROWS.iter().map(|(package, _)| *package).collect();
    let workspace = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let line = workspace.lines().find(|line| line.starts_with("members")).unwrap();
    let listed: BTreeSet<&str> = line.split('"').skip(1).step_by(2).collect();
    assert_eq!(members, listed, "every package of the workspace has its arrows here");
    for (package, allowed) in ARROWS {
        let manifest = fs::read_to_string(root.join(package).join("Cargo.toml")).unwrap();
        for (dependency, of_tests) in dependencies(&manifest) {
            let simulator = dependency == "telegram-simulator";
            let ours = dependency.starts_with("tuberry") || simulator;
            // The simulator stands apart: any package's tests may use it.
            let fine = !ours || allowed.contains(&dependency) || (simulator && of_tests);
            assert!(fine, "{package} must not depend on {dependency}");
            for (prefix, owners) in KEPT_APART {
                assert!(!dependency.starts_with(prefix) || owners.contains(package), "{package} must not depend on {dependency}");
            }
        }
    }
    for (dependency, of_tests) in dependencies(workspace.split_once("[package]").unwrap().1) {
        for (prefix, _) in KEPT_APART {
            let of_bench = of_tests && *prefix == "apalis";
            assert!(of_bench || !dependency.starts_with(prefix), "the root package must not depend on {dependency}");
        }
    }
}

#[test]
fn the_rules_see_what_they_forbid() {
    let seen = |file: &str, text: &str| !broken_rules(file, text).is_empty();
    assert!(seen("src/http/jobs.rs", "use apalis_core::task::Task;"));
    assert!(seen("jobs/src/send_reply.rs", "use tuberry_telegram::mtproto;"));
    assert!(seen("src/http/accounts.rs", "let row = sqlx::query!(\"select 1\");"));
    assert!(seen("src/web/pages.rs", "use crate::fleet::Claim;"));
    assert!(seen("crates/domain/src/lib.rs", "use tokio::sync::mpsc;"));
    assert!(seen("crates/simulator/src/lib.rs", "use tuberry_domain::AccountId;"));
    assert!(!seen("jobs/src/queue/backend.rs", "use apalis_core::task::Task;"));
    assert!(!seen("src/http/accounts.rs", "// unlike apalis_core\nlet a = request.query_string;"));
    assert!(!seen("crates/domain/src/lib.rs", "/// tokio is not used here\nstruct A;"));
}

/// One line for every word of `text` that a rule forbids in the file of that name.
fn broken_rules(file: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let starts_with_any = |prefixes: &[&str]| prefixes.iter().any(|prefix| file.starts_with(prefix));
    for rule in RULES.iter().filter(|rule| starts_with_any(rule.within) && !starts_with_any(rule.allowed)) {
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in rule.words.iter().filter(|word| names(code, word)) {
                found.push(format!("{file}:{}: {word}: {}", number + 1, rule.why));
            }
        }
    }
    found
}

/// Whether `code` has `word` as a whole identifier. SQL functions count only with their crate, `sqlx::query…`, or after an import.
fn names(code: &str, word: &str) -> bool {
    let sql = word.starts_with("query") || word == "raw_sql";
    if sql {
        return code.contains(&format!("sqlx::{word}")) || (code.trim_start().starts_with("use sqlx::") && is_word(code, word));
    }
    is_word(code, word)
}

fn is_word(code: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(start, _)| {
        let before = code[..start].chars().next_back();
        let after = code[start + word.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

fn sources(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Names of the dependencies in a manifest, and whether only tests have them.
fn dependencies(manifest: &str) -> Vec<(&str, bool)> {
    let mut inside = false;
    let mut of_tests = false;
    let mut names = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
            of_tests = line.ends_with("dev-dependencies]");
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            names.push((line.split(['.', '=', ' ']).next().unwrap_or(line), of_tests));
        }
    }
    names
}

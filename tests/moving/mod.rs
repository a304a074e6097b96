//! Moving in next to an existing Tuberry: its database is migrated while it runs, its accounts go on without a QR code, and until the end of the
//! move it finds its way back.

mod meanwhile;
mod migrate;
mod serving;
mod sessions;

use crate::support::stack::APP_SECRET;
use crate::support::{Database, Process, empty_database};
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// Tables of the release before personal accounts, with data.
const OLD: &str = include_str!("old_tuberry.sql");
/// What the release with personal accounts added.
const PERSONAL: &str = include_str!("personal.sql");

/// Releases of the old system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Release {
    BeforePersonalAccounts,
    WithPersonalAccounts,
}

/// A database of an old Tuberry.
async fn old_database(release: Release) -> Database {
    let database = empty_database().await;
    sqlx::raw_sql(OLD).execute(database.store.pool()).await.unwrap();
    if release == Release::WithPersonalAccounts {
        for statement in PERSONAL.split_inclusive(";\n") {
            sqlx::raw_sql(statement).execute(database.store.pool()).await.unwrap();
        }
    }
    database
}

/// Runs the stand-in for the old system, which is written in the old system's language and with its libraries.
async fn old_system(arguments: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/venv/bin/python");
    assert!(python.exists(), "target/venv is missing: run `make setup`");
    let script = root.join("tests/moving/old_system.py");
    let arguments: Vec<&str> = std::iter::once(script.to_str().unwrap()).chain(arguments.iter().copied()).collect();
    let process = Process::start(python.to_str().unwrap(), &arguments, &[("SESSION_SECRET", APP_SECRET)]).await;
    let ended = timeout(Duration::from_secs(120), process.wait()).await.expect("an end");
    let output = process.output();
    assert!(ended.success(), "{output}");
    output.lines().find_map(|line| line.strip_prefix("RESULT ")).unwrap_or_else(|| panic!("no result: {output}")).to_owned()
}

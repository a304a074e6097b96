//! Embedded PostgreSQL: it keeps its data, ends with us, and starts again after anything that was killed.

use crate::support::{self, Process, wait_until};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use sqlx::{Connection, PgConnection};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tuberry::embedded::{Embedded, Error, Options, Restart, Tuning};

/// Names the data directory for [`holds_a_cluster_until_killed`].
const HELD: &str = "TUBERRY_TEST_HELD_CLUSTER";

/// Where another user may enter, wherever the checkout is.
fn folder() -> tempfile::TempDir {
    let permissions = fs::Permissions::from_mode(0o755);
    tempfile::Builder::new().prefix("embedded-").permissions(permissions).tempdir().unwrap()
}

async fn start(data_dir: &Path) -> Result<Embedded, Error> {
    Embedded::start(Options { data_dir: data_dir.to_path_buf(), port: None, tuning: Tuning::Durable }).await
}

async fn execute(url: &str, statement: &'static str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(statement).execute(&mut connection).await?;
    connection.close().await
}

async fn answer(url: &str, question: &'static str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar(question).fetch_one(&mut connection).await.unwrap()
}

fn runs(pid: u32) -> bool {
    kill(Pid::from_raw(pid.try_into().unwrap()), None).is_ok()
}

#[tokio::test]
async fn data_stay_between_starts() {
    let folder = folder();
    let embedded = start(folder.path()).await.unwrap();
    execute(&embedded.url("postgres"), "create table kept as select 'here' word").await.unwrap();
    let pid = embedded.pid();
    embedded.stop().await;
    assert!(!runs(pid), "the server outlived stop()");

    let embedded = start(folder.path()).await.unwrap();
    assert_eq!(answer(&embedded.socket_url("postgres"), "select word from kept").await, "here");
    let pid = embedded.pid();
    drop(embedded);
    assert!(!runs(pid), "the server outlived its owner");
}

#[tokio::test]
async fn a_killed_server_starts_again_on_its_port_with_every_commit() {
    let cluster = support::OwnCluster::start().await;
    let url = cluster.embedded.url("tuberry");
    execute(&url, "create table commits (n int)").await.unwrap();
    for how in [Restart::Killed, Restart::Immediate, Restart::Fast] {
        let pid = cluster.embedded.pid();
        execute(&url, "insert into commits values (1)").await.unwrap();
        cluster.embedded.restart(how).await.unwrap();
        assert_ne!(cluster.embedded.pid(), pid);
    }
    assert_eq!(answer(&url, "select count(*)::text from commits").await, "3");
    assert_eq!(answer(&cluster.url, "select count(*)::text from commits").await, "3");
}

#[tokio::test]
async fn loopback_asks_for_the_password_and_everything_is_in_utc() {
    let cluster = support::OwnCluster::start().await;
    let url = cluster.embedded.url("postgres");
    assert_eq!(answer(&url, "select current_setting('TimeZone')").await, "UTC");
    assert_eq!(answer(&url, "select current_setting('server_encoding')").await, "UTF8");
    let (start, end) = (url.find("tuberry:").unwrap() + "tuberry:".len(), url.find('@').unwrap());
    let wrong = format!("{}wrong{}", &url[..start], &url[end..]);
    let refused = PgConnection::connect(&wrong).await.unwrap_err();
    assert_eq!(refused.as_database_error().and_then(|error| error.code()).as_deref(), Some("28P01"));
}

#[tokio::test]
async fn a_data_directory_serves_one_process_at_a_time() {
    let folder = folder();
    let first = start(folder.path()).await.unwrap();
    assert!(matches!(start(folder.path()).await, Err(Error::InUse { .. })));
    first.stop().await;
    start(folder.path()).await.unwrap().stop().await;
}

#[tokio::test]
async fn the_mark_of_a_server_long_gone_does_not_hurt_the_stranger_with_its_process_id() {
    let folder = folder();
    start(folder.path()).await.unwrap().stop().await;
    let stranger = Process::start("sleep", &["60"], &[]).await;
    let data = folder.path().join("postgres/data");
    fs::write(data.join("postmaster.pid"), format!("{}\n{}\n1\n5432\n\n\n\n", stranger.pid(), data.display())).unwrap();
    start(folder.path()).await.unwrap().stop().await;
    assert!(runs(stranger.pid()));
}

#[tokio::test]
async fn a_server_that_was_left_behind_is_ended_and_its_data_served() {
    let folder = folder();
    let embedded = start(folder.path()).await.unwrap();
    execute(&embedded.url("postgres"), "create table kept as select 'here' word").await.unwrap();
    let program = fs::read_link(format!("/proc/{}/exe", embedded.pid())).unwrap();
    embedded.stop().await;

    let data = folder.path().join("postgres/data");
    let owner = fs::metadata(&data).unwrap();
    let mut command = std::process::Command::new(program);
    command.arg("-D").arg(&data).args(["-c", "listen_addresses=", "-k"]).arg(&data).current_dir("/").stderr(Stdio::null());
    if nix::unistd::geteuid().is_root() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    let mut orphan = command.spawn().unwrap();
    wait_until(Duration::from_secs(10), "the orphan is ready", async || {
        fs::read_to_string(data.join("postmaster.pid")).ok().filter(|text| text.contains("ready"))
    })
    .await;

    let embedded = start(folder.path()).await.unwrap();
    assert!(orphan.try_wait().unwrap().is_some(), "the orphan still runs");
    assert_eq!(answer(&embedded.url("postgres"), "select word from kept").await, "here");
}

#[tokio::test]
async fn the_server_ends_when_its_owner_is_killed_and_the_next_one_finds_the_data() {
    let folder = folder();
    let program = std::env::current_exe().unwrap();
    let arguments = ["--ignored", "--exact", "embedded::holds_a_cluster_until_killed"];
    let owner = Process::start(program.to_str().unwrap(), &arguments, &[(HELD, folder.path().to_str().unwrap())]).await;
    let server: u32 = wait_until(Duration::from_secs(30), "the cluster is held", async || {
        fs::read_to_string(folder.path().join("server")).ok()?.parse().ok()
    })
    .await;
    owner.kill().await;
    wait_until(Duration::from_secs(10), "the server ended", async || (!runs(server)).then_some(())).await;
    let embedded = start(folder.path()).await.unwrap();
    assert_eq!(answer(&embedded.url("postgres"), "select word from kept").await, "here");
}

/// Not a test: the process that the test above kills.
#[tokio::test]
#[ignore = "the test above runs it in a process of its own"]
async fn holds_a_cluster_until_killed() {
    let folder = PathBuf::from(std::env::var_os(HELD).expect("started by the test above"));
    let embedded = start(&folder).await.unwrap();
    execute(&embedded.url("postgres"), "create table kept as select 'here' word").await.unwrap();
    fs::write(folder.join("server.new"), embedded.pid().to_string()).unwrap();
    fs::rename(folder.join("server.new"), folder.join("server")).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_checkout_that_the_servers_user_cannot_enter_works_too() {
    let folder = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o700)).tempdir().unwrap();
    let options = Options { data_dir: folder.path().to_path_buf(), port: None, tuning: Tuning::Throwaway };
    let embedded = Embedded::start(options.clone()).await.unwrap();
    execute(&embedded.url("postgres"), "create table kept as select 'here' word").await.unwrap();
    embedded.stop().await;
    let embedded = Embedded::start(options).await.unwrap();
    assert_eq!(answer(&embedded.url("postgres"), "select word from kept").await, "here");
    let place = embedded.folder().to_path_buf();
    assert_eq!(place, folder.path().join("postgres").canonicalize().unwrap());
    embedded.stop().await;
    fs::remove_dir_all(place).unwrap();
}

#[tokio::test]
async fn a_test_gets_a_migrated_database_of_its_own() {
    let (one, other) = (support::database().await, support::database().await);
    execute(&one.url, "create table mine ()").await.unwrap();
    assert_eq!(answer(&other.url, "select coalesce(to_regclass('mine')::text, 'none')").await, "none");
    assert_eq!(answer(&other.url, "select to_regclass('apalis.jobs')::text").await, "apalis.jobs");
    assert_eq!(answer(&other.url, "select to_regclass('dialogs')::text").await, "dialogs");
    let missing = tuberry_storage::migrations::missing(other.store.pool()).await.unwrap();
    assert_eq!(missing, 0);
}

#[tokio::test]
async fn migrating_twice_at_once_from_two_processes_succeeds() {
    let database = support::empty_database().await;
    let environment = [("DATABASE_URL", database.url.as_str())];
    let one = Process::tuberry(&["migrate"], &environment).await;
    let other = Process::tuberry(&["migrate"], &environment).await;
    assert!(one.wait().await.success(), "{}", one.output());
    assert!(other.wait().await.success(), "{}", other.output());
    assert_eq!(answer(&database.url, "select to_regclass('apalis.jobs')::text").await, "apalis.jobs");
}

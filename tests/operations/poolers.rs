//! PgBouncer between us and PostgreSQL.

use crate::support::{Ended, OwnCluster, Process, free_port, run, wait_until};
use nix::sys::signal::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

fn pgbouncer() -> &'static str {
    ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "pgbouncer"]
        .into_iter()
        .find(|path| Command::new(path).arg("--version").output().is_ok())
        .expect("PgBouncer, which `make setup` installs")
}

/// Whether it carries prepared statements from backend to backend, as 1.21 and later do.
fn keeps_statements() -> bool {
    let output = Command::new(pgbouncer()).arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let version = text.split_whitespace().nth(1).unwrap().to_owned();
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap(), parts.next().unwrap()) >= (1, 21)
}

/// A PgBouncer in front of the cluster; its URL.
struct Pooler {
    url: String,
    _folder: tempfile::TempDir,
    process: Process,
}

impl Pooler {
    async fn start(cluster: &OwnCluster, mode: &str, ignored: &str) -> Self {
        let direct: reqwest::Url = cluster.embedded.url("tuberry").parse().unwrap();
        let port = free_port();
        // Where another user may enter, wherever the checkout is.
        let folder = tempfile::Builder::new().prefix("pgbouncer-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let settings = folder.path().join("pgbouncer.ini");
        let statements = if keeps_statements() { "max_prepared_statements = 100" } else { "" };
        let text = format!(
            "[databases]\ntuberry = host=127.0.0.1 port={} dbname=tuberry user=tuberry password={}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = {mode}\ndefault_pool_size = 30\nignore_startup_parameters = {ignored}\n{statements}\n",
            direct.port().unwrap(),
            direct.password().unwrap(),
        );
        fs::write(&settings, text).unwrap();
        fs::set_permissions(&settings, fs::Permissions::from_mode(0o644)).unwrap();
        let settings = settings.to_str().unwrap();
        // It refuses to run as root.
        let process = if nix::unistd::geteuid().is_root() {
            let arguments = ["--reuid=65534", "--regid=65534", "--clear-groups", "--pdeathsig=KILL", pgbouncer(), settings];
            Process::start("setpriv", &arguments, &[]).await
        } else {
            Process::start(pgbouncer(), &[settings], &[]).await
        };
        wait_until(SOON, "PgBouncer listens", async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
        assert!(process.ended().is_none(), "{}", process.output());
        Self { url: format!("postgres://tuberry@127.0.0.1:{port}/tuberry"), _folder: folder, process }
    }
}

fn environment<'a>(url: &'a str, direct: &'a str, listen: &'a str) -> [(&'a str, &'a str); 6] {
    // No Telegram is needed to see how a process begins.
    [
        ("DATABASE_URL", url),
        ("DATABASE_DIRECT_URL", direct),
        ("APP_SECRET", "app"),
        ("JWT_SECRET", "jwt"),
        ("LISTEN", listen),
        ("TELEGRAM_SIMULATOR", "http://127.0.0.1:1"),
    ]
}

async fn api_works(environment: &[(&str, &str)]) {
    let api = Process::tuberry(&["api"], environment).await;
    wait_until(SOON, "an API that is ready", async || {
        run(&["health", "api", "--ready"], environment, "").await.success.then_some(())
    })
    .await;
    api.signal(Signal::SIGTERM);
    assert!(api.wait().await.success(), "{}", api.output());
}

fn last(ended: &Ended) -> &str {
    ended.stderr.lines().last().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_pooler_is_detected_on_either_way() {
    let cluster = OwnCluster::start().await;
    let pooler = Pooler::start(&cluster, "transaction", "extra_float_digits,options").await;
    let direct = cluster.embedded.url("tuberry");
    let listen = format!("127.0.0.1:{}", free_port());

    for round in 0..3 {
        let on_direct = environment(&direct, &pooler.url, &listen);
        // The simulator comes before the locks: one that answers is needed.
        let simulator = telegram_simulator::Simulator::start(telegram_simulator::Options::default()).await.unwrap();
        let mut on_direct = on_direct.to_vec();
        let telegram = simulator.http_url();
        on_direct.retain(|(name, _)| *name != "TELEGRAM_SIMULATOR");
        on_direct.push(("TELEGRAM_SIMULATOR", &telegram));
        let ended = run(&["worker"], &on_direct, "").await;
        assert!(
            !ended.success && last(&ended).contains("DATABASE_DIRECT_URL leads through a transaction pooler"),
            "{round}: {}",
            ended.stderr
        );
    }
    for arguments in [&["migrate"][..], &["migrate", "--check"], &["migrate", "--finish"]] {
        let ended = run(arguments, &environment(&direct, &pooler.url, &listen), "").await;
        let said = "DATABASE_DIRECT_URL leads through a transaction pooler";
        assert!(!ended.success && ended.stderr.contains(said), "{arguments:?}: {}", ended.stderr);
    }
    let on_pool = environment(&pooler.url, &direct, &listen);
    if keeps_statements() {
        api_works(&on_pool).await;
    } else {
        for command in ["api", "worker"] {
            let ended = run(&[command], &on_pool, "").await;
            assert!(!ended.success && last(&ended).contains("loses prepared statements"), "{}", ended.stderr);
        }
    }
    let doctor = run(&["doctor"], &environment(&pooler.url, &pooler.url, &listen), "").await;
    assert!(doctor.stdout.contains("DATABASE_DIRECT_URL leads through a transaction pooler"), "{}", doctor.stdout);
    assert!(pooler.process.ended().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_pooler_will_do_once_it_takes_our_settings() {
    let cluster = OwnCluster::start().await;
    let direct = cluster.embedded.url("tuberry");
    let listen = format!("127.0.0.1:{}", free_port());
    let strict = Pooler::start(&cluster, "session", "extra_float_digits").await;
    let ended = run(&["api"], &environment(&strict.url, &direct, &listen), "").await;
    assert!(!ended.success && last(&ended).contains("ignore_startup_parameters"), "{}", ended.stderr);

    let pooler = Pooler::start(&cluster, "session", "extra_float_digits,options").await;
    let environment = environment(&pooler.url, &direct, &listen);
    api_works(&environment).await;
    // Ignored settings are not in effect: the doctor says where to put them.
    let doctor = run(&["doctor"], &environment, "").await.stdout;
    assert!(
        doctor.lines().any(|line| line.starts_with("WRONG") && line.contains("pool:") && line.contains("alter role")),
        "{doctor}"
    );
}

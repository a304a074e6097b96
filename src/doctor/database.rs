//! The database, by both of its ways, and what the workers leave in it.

use super::finding::clock;
use super::{Finding, Patient, in_time};
use chrono::Utc;
use tuberry_domain::Secret;
use tuberry_storage::diagnosis::{self, Server};
use tuberry_storage::pooling::Way;
use tuberry_storage::{Store, migrations, worker_pages, workers};

/// What a way to the database led to.
struct Reached {
    store: Store,
    server: Server,
    way: Option<Way>,
    difference: chrono::Duration,
}

/// Both ways; the store where the pool's way can be used.
pub(super) async fn look(patient: &Patient) -> (Vec<Finding>, Option<Store>) {
    let database = &patient.settings.database;
    let (pool, direct) =
        tokio::join!(reach(patient, "DATABASE_URL", &database.url), reach(patient, "DATABASE_DIRECT_URL", &database.direct_url));
    let mut findings = Vec::new();
    match (&pool, &direct) {
        (Ok(pool), Ok(direct)) => {
            let places = [pool, direct].map(|reached| (reached.server.started_at, &reached.server.database));
            if places[0] != places[1] {
                findings.push(Finding::wrong(
                    "database",
                    "DATABASE_URL and DATABASE_DIRECT_URL lead to different databases",
                    "let both lead to the same one",
                ));
            }
        }
        (Ok(_), Err(finding)) | (Err(finding), Ok(_)) => findings.push(finding.clone()),
        (Err(one), Err(other)) => {
            findings.push(one.clone());
            if database.url.expose() != database.direct_url.expose() {
                findings.push(other.clone());
            }
        }
    }
    if let Ok(direct) = &direct {
        findings.extend(of_server(&direct.server));
        findings.push(clock("PostgreSQL", direct.difference));
        findings.push(match direct.way {
            Some(Way::Direct) => Finding::fine("direct connection", "locks and LISTEN work"),
            Some(Way::Pooled { .. }) => Finding::wrong(
                "direct connection",
                "DATABASE_DIRECT_URL leads through a transaction pooler: workers do not start",
                "let it lead straight to PostgreSQL",
            ),
            None => Finding::skipped("direct connection", "a pooler could not be looked for"),
        });
    }
    let store = match pool {
        Err(_) => None,
        Ok(pool) => {
            findings.push(of_pool(&pool));
            findings.push(of_migrations(&pool.store).await);
            Some(pool.store)
        }
    };
    (findings, store)
}

async fn reach(patient: &Patient, name: &'static str, url: &Secret<String>) -> Result<Reached, Finding> {
    if url.expose().is_empty() || patient.lacks(name) {
        return Err(Finding::skipped("database", format!("{name} cannot be used")));
    }
    let wrong = |error: String| {
        let mend = if error.contains("startup parameter") {
            "the pooler refuses our settings: for PgBouncer, ignore_startup_parameters = extra_float_digits,options"
        } else {
            "start PostgreSQL, or correct the variable"
        };
        Finding::wrong("database", format!("{name}: {error}"), mend)
    };
    let store = Store::open(url.expose(), 2).map_err(|error| wrong(error.to_string()))?;
    let before = Utc::now();
    let mut connection = in_time(store.dial()).await.map_err(wrong)?;
    let asked = Utc::now();
    let server = in_time(diagnosis::server(&mut connection)).await.map_err(wrong)?;
    drop(connection);
    // Halfway between question and answer.
    let difference = server.now - (asked + (Utc::now() - asked) / 2);
    tracing::debug!(name, took = %(Utc::now() - before), "database asked");
    let way = in_time(store.way()).await.ok();
    Ok(Reached { store, server, way, difference })
}

fn of_server(server: &Server) -> Vec<Finding> {
    let version = format!("PostgreSQL {}.{}", server.version / 10_000, server.version % 10_000);
    let mut findings = vec![if server.version >= 140_000 {
        Finding::fine("database", version)
    } else {
        Finding::wrong("database", format!("{version} is too old"), "14 or later")
    }];
    if server.standby {
        findings.push(Finding::wrong("database", "a standby, which takes no writes", "let both URLs lead to the primary"));
    }
    if server.encoding != "UTF8" {
        findings.push(Finding::wrong(
            "database",
            format!("the encoding {} cannot hold every text", server.encoding),
            "make the database anew with encoding UTF8",
        ));
    }
    if !server.reads_statistics {
        findings.push(Finding::note(
            "database",
            "the role cannot see when PostgreSQL's own processes were restarted: some takeovers take 90 s instead of 15",
            "grant pg_read_all_stats to the role",
        ));
    }
    findings
}

fn of_pool(pool: &Reached) -> Finding {
    const CHECK: &str = "pool";
    match pool.way {
        Some(Way::Pooled { keeps_statements: false }) => Finding::wrong(
            CHECK,
            "DATABASE_URL leads through a transaction pooler that loses prepared statements: nothing starts",
            "PgBouncer 1.21 or later with max_prepared_statements, or straight to PostgreSQL",
        ),
        None => Finding::skipped(CHECK, "a pooler could not be looked for"),
        Some(_) if pool.server.time_zone != "UTC" || pool.server.idle_in_transaction == "0" => Finding::wrong(
            CHECK,
            format!("a pooler keeps our settings from the server (time zone {})", pool.server.time_zone),
            "alter role … set timezone to 'UTC', idle_in_transaction_session_timeout to '60s', enable_seqscan to off, jit to off",
        ),
        Some(Way::Pooled { keeps_statements: true }) => Finding::fine(CHECK, "leads through a transaction pooler; time zone UTC"),
        Some(Way::Direct) => Finding::fine(CHECK, "leads to PostgreSQL; time zone UTC"),
    }
}

async fn of_migrations(store: &Store) -> Finding {
    const CHECK: &str = "migrations";
    match in_time(migrations::missing(store.pool())).await {
        Ok(0) => Finding::fine(CHECK, "all are there"),
        Ok(missing) => Finding::wrong(CHECK, format!("{missing} missing"), "run `tuberry migrate`"),
        Err(error) => Finding::wrong(CHECK, error, "run `tuberry migrate`"),
    }
}

/// Workers, and accounts that nobody serves.
pub(super) async fn leases(store: &Store) -> Vec<Finding> {
    const CHECK: &str = "leases";
    let asked = async {
        let overview = workers::overview(store, workers::SILENT).await?;
        let roster = worker_pages::roster(store, workers::SILENT).await?;
        let without_bot = diagnosis::accounts_without_bot(store).await?;
        Ok::<_, tuberry_storage::Error>((overview, roster, without_bot))
    };
    let (overview, roster, without_bot) = match in_time(asked).await {
        Ok(found) => found,
        Err(error) => return vec![Finding::skipped(CHECK, error)],
    };
    let mut findings = Vec::new();
    for worker in roster.iter().filter(|worker| worker.silent) {
        let says = format!("worker {} is silent since {}", worker.name, worker.seen_at.format("%F %T UTC"));
        findings.push(if overview.unserved == 0 {
            Finding::note(CHECK, says, "others serve its accounts; look why it ended, if nobody stopped it")
        } else {
            Finding::wrong(CHECK, says, "look at its host; others take its accounts when they may, after 90 s at the latest")
        });
    }
    if overview.workers == 0 {
        findings.push(Finding::wrong(CHECK, "no worker runs: nothing is received or sent", "start `tuberry worker`"));
    } else if overview.without_room() > 0 {
        let says =
            format!("{} accounts have no room: {} workers take {}", overview.without_room(), overview.workers, overview.capacity);
        findings.push(Finding::wrong(CHECK, says, "start another worker, or raise WORKER_MAX_ACCOUNTS"));
    } else if overview.unserved > 0 {
        let says = format!("{} of {} accounts are served by nobody at this moment", overview.unserved, overview.accounts);
        findings.push(Finding::wrong(CHECK, says, "wait 90 s and look again; then see the workers' logs"));
    } else {
        findings.push(Finding::fine(CHECK, format!("{} workers serve {} accounts", overview.workers, overview.accounts)));
    }
    if without_bot > 0 {
        findings.push(Finding::wrong(
            "projects",
            format!(
                "{without_bot} accounts are in projects without a managing bot or working group: their messages wait at Telegram"
            ),
            "bind a bot with a group to the project",
        ));
    }
    findings
}

//! Claims of several owners on one database: who may use a key, and when.

use crate::support::proxy::{Line, Proxy};
use crate::support::{Database, OwnCluster, database, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use tuberry::embedded::Restart;
use tuberry::fleet::{Claims, Standing};
use tuberry_domain::Secret;
use tuberry_domain::ports::{Claim, ClaimError, KeyClaims, KeyClass, Lease, Reuse};
use tuberry_storage::leases::Room;
use tuberry_storage::{Error, Store, leases};

const MINUTE: Duration = Duration::from_secs(60);

async fn claims(url: &str) -> Claims {
    Claims::start(Secret::new(url.to_owned()), Some(Room { capacity: 10, weight: 1 })).await.expect("claims")
}

async fn claim_one(claims: &Claims, class: KeyClass, object: i32) -> Result<Claim, ClaimError> {
    claims.claim_all(class, vec![object], Reuse::Required).await.remove(0).1
}

/// Asks every 100 ms, as the supervisor and the jobs do, until the claim is granted.
async fn granted(claims: &Claims, object: i32) -> Claim {
    wait_until(MINUTE, "a granted claim", async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        claim_one(claims, KeyClass::Account, object).await.ok()
    })
    .await
}

async fn check(store: &Store, lease: &Lease) -> Result<(), Error> {
    let mut tx = store.begin().await?;
    leases::check(&mut tx, lease).await?;
    tx.commit().await
}

/// Makes a lease look as if its last renewal were so old; its owner must not renew it any more.
async fn age(database: &Database, object: i32, seconds: f64) {
    sqlx::query(
        "update personal_telegram_leases set renewed_at = clock_timestamp() - make_interval(secs => $2) where object = $1",
    )
    .bind(object)
    .bind(seconds)
    .execute(database.store.pool())
    .await
    .unwrap();
    sqlx::query("update personal_telegram_workers set seen_at = clock_timestamp() - make_interval(secs => $1)")
        .bind(seconds)
        .execute(database.store.pool())
        .await
        .unwrap();
}

/// The sessions that hold advisory locks on this object.
async fn end_lock_sessions(store: &Store, object: i32) {
    let ended: Vec<bool> = sqlx::query_scalar(
        "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objsubid = 2 and objid::bigint = $1
         and database = (select oid from pg_database where datname = current_database())",
    )
    .bind(i64::from(object))
    .fetch_all(store.pool())
    .await
    .unwrap();
    assert!(!ended.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_owner_at_a_time_and_a_lease_given_back_is_taken_at_once() {
    let database = database().await;
    let (one, two) = (claims(&database.url).await, claims(&database.url).await);
    let claim = claim_one(&one, KeyClass::Account, 7).await.expect("nobody has it");
    assert!(claim.key_is_free && one.holds(&claim.lease) && !two.holds(&claim.lease));
    assert!(matches!(claim_one(&two, KeyClass::Account, 7).await, Err(ClaimError::Busy { .. })));
    assert!(
        matches!(one.claim(KeyClass::Account, 7, Reuse::Required).await, Err(ClaimError::Busy { .. })),
        "a job may not use it either"
    );
    check(&database.store, &claim.lease).await.expect("in force");

    one.give_back(&claim.lease).await;
    assert!(!one.holds(&claim.lease));
    assert_eq!(*one.standing(&claim.lease).borrow(), Standing::Lost);
    let next = claim_one(&two, KeyClass::Account, 7).await.expect("given back");
    assert!(next.key_is_free && next.lease.epoch > claim.lease.epoch);
    assert!(matches!(check(&database.store, &claim.lease).await, Err(Error::Fenced)));
    check(&database.store, &next.lease).await.expect("in force");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_accounts_of_a_dead_owner_are_taken_when_their_leases_are_15_s_old() {
    let database = database().await;
    let (one, two) = (claims(&database.url).await, claims(&database.url).await);
    let lease = claim_one(&one, KeyClass::Account, 1).await.expect("nobody has it").lease;
    drop(one); // its session ends without giving anything back, like a killed process'
    let died = Instant::now();
    let next = granted(&two, 1).await;
    let waited = died.elapsed();
    assert!(waited >= Duration::from_secs(12) && waited < Duration::from_secs(20), "{waited:?}");
    assert!(next.key_is_free && next.lease.epoch > lease.epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn that_a_lock_was_found_free_in_time_is_not_forgotten_with_the_finder() {
    let database = database().await;
    let (one, two) = (claims(&database.url).await, claims(&database.url).await);
    claim_one(&one, KeyClass::Account, 1).await.expect("nobody has it");
    drop(one);
    let orphaned = async || {
        let _ = claim_one(&two, KeyClass::Account, 1).await;
        let orphaned = sqlx::query_scalar("select orphaned from personal_telegram_leases").fetch_one(database.store.pool());
        orphaned.await.unwrap_or(false).then_some(())
    };
    wait_until(MINUTE, "a lock found free", orphaned).await;
    drop(two);
    age(&database, 1, 20.0).await;
    let three = claims(&database.url).await;
    let began = Instant::now();
    granted(&three, 1).await;
    assert!(began.elapsed() < Duration::from_secs(10), "the third waits for its own grace only: {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_found_free_too_late_means_90_s() {
    let database = database().await;
    let (one, two) = (claims(&database.url).await, claims(&database.url).await);
    claim_one(&one, KeyClass::Account, 1).await.expect("nobody has it");
    drop(one);
    tokio::time::sleep(Duration::from_secs(6)).await;
    age(&database, 1, 16.0).await;
    assert!(matches!(claim_one(&two, KeyClass::Account, 1).await, Err(ClaimError::Busy { .. })));
    age(&database, 1, 80.0).await;
    assert!(matches!(claim_one(&two, KeyClass::Account, 1).await, Err(ClaimError::Busy { .. })));
    age(&database, 1, 91.0).await;
    assert!(granted(&two, 1).await.key_is_free);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_can_start_over_is_taken_without_its_key() {
    let database = database().await;
    let (one, two) = (claims(&database.url).await, claims(&database.url).await);
    one.claim(KeyClass::Login, 3, Reuse::Optional).await.expect("nobody has it");
    drop(one);
    let claim = wait_until(MINUTE, "a granted claim", async || two.claim(KeyClass::Login, 3, Reuse::Optional).await.ok()).await;
    assert!(!claim.key_is_free);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_interrupted_does_not_lock_the_next_one_out() {
    let database = database().await;
    let one = claims(&database.url).await;
    let first = one.claim(KeyClass::Login, 3, Reuse::Optional).await.expect("nobody has it");
    let second = one.claim(KeyClass::Login, 3, Reuse::Optional).await.expect("the first run has ended");
    assert!(!second.key_is_free, "the first run's connection may be closing yet");
    assert!(second.lease.epoch > first.lease.epoch);
    assert!(one.holds(&second.lease) && !one.holds(&first.lease));
    one.give_back(&first.lease).await;
    assert!(one.holds(&second.lease), "the first run's claim is not the second's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_needs_the_key_waits_until_its_interrupted_run_has_closed() {
    let database = database().await;
    let one = claims(&database.url).await;
    let again = async || one.claim(KeyClass::Login, 3, Reuse::Required).await;
    again().await.expect("nobody has it");
    let asked = Instant::now();
    let Err(ClaimError::Busy { again_in }) = again().await else { panic!("its connection may be closing yet") };
    assert!(again_in <= Duration::from_secs(6));
    let second = wait_until(MINUTE, "a granted claim", async || again().await.ok()).await;
    assert!(second.key_is_free && asked.elapsed() >= Duration::from_secs(6));
    again().await.expect_err("its connection may be closing yet");
    one.give_back(&second.lease).await;
    assert!(again().await.expect("the close was seen").key_is_free);
}

/// An own cluster, and claims of a process that reaches it over a line that can be disturbed.
async fn at_a_distance() -> (OwnCluster, Proxy, Claims) {
    let cluster = OwnCluster::start().await;
    let port = cluster.embedded.port();
    let line = Proxy::to((Ipv4Addr::LOCALHOST, port).into()).await;
    let url = cluster.embedded.url("tuberry").replace(&format!(":{port}/"), &format!(":{}/", line.address().port()));
    let claims = claims(&url).await;
    (cluster, line, claims)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_without_an_answer_does_not_hold_the_claims_up() {
    let (_cluster, line, one) = at_a_distance().await;
    let lease = claim_one(&one, KeyClass::Account, 1).await.expect("nobody has it").lease;
    line.watch_for("given back", Some(Line::Frozen));
    tokio::time::timeout(MINUTE, one.give_back(&lease)).await.expect("an end of the wait");
    assert_eq!(line.seen(), 1, "the line froze before the announcement");
    line.set(Line::Open);
    granted(&one, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_owner_of_many_accounts_is_ended_once_and_not_account_by_account() {
    let (cluster, line, one) = at_a_distance().await;
    let options: PgConnectOptions = cluster.url.parse().unwrap();
    let mut stopped = options.application_name("stopped-owner").connect().await.unwrap();
    for sql in [
        "insert into personal_telegram_leases (class, object, owner, epoch, renewed_at)
         select 7101, n, 'stopped-owner', 1, now() - interval '91 s' from generate_series(1, 100) n",
        "select pg_advisory_lock(7101, n) from generate_series(1, 100) n",
    ] {
        sqlx::query(sql).execute(&mut stopped).await.unwrap();
    }
    line.watch_for("stopped-owner", None);
    let mut taken = 0;
    wait_until(MINUTE, "all of its accounts", async || {
        let results = one.claim_all(KeyClass::Account, (1..=100).collect(), Reuse::Required).await;
        taken += results.iter().filter(|(_, result)| result.is_ok()).count();
        (taken == 100).then_some(())
    })
    .await;
    assert!((1..50).contains(&line.seen()), "{} statements named the owner", line.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_loses_its_session_takes_its_locks_again() {
    let database = database().await;
    let (one, two) = (claims(&database.url).await, claims(&database.url).await);
    let lease = claim_one(&one, KeyClass::Account, 1).await.expect("nobody has it").lease;
    for _ in 0..5 {
        end_lock_sessions(&database.store, 1).await;
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(3) {
            assert!(one.holds(&lease), "the lease stays in force");
            assert!(claim_one(&two, KeyClass::Account, 1).await.is_err());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    assert_eq!(*one.standing(&lease).borrow(), Standing::InForce);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_of_an_owner_that_came_back_is_not_ended() {
    let database = database().await;
    let one = claims(&database.url).await;
    claim_one(&one, KeyClass::Account, 1).await.expect("nobody has it");
    let mut taker = database.store.pool().acquire().await.unwrap();
    let minute = leases::end_holder(&mut taker, KeyClass::Account, &[1], one.name(), MINUTE).await;
    assert!(!minute.unwrap(), "it was found silent, but has renewed its lease since");
    let other = leases::end_holder(&mut taker, KeyClass::Account, &[1], "another", Duration::ZERO).await;
    assert!(!other.unwrap(), "another taker has the lock");
    let silent = leases::end_holder(&mut taker, KeyClass::Account, &[1], one.name(), Duration::ZERO).await;
    assert!(silent.unwrap(), "its lease is old enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_postgresql_is_away_leases_are_suspended_after_5_s_and_come_back_with_it() {
    let cluster = OwnCluster::start().await;
    let (one, two) = (claims(&cluster.url).await, claims(&cluster.url).await);
    let lease = claim_one(&one, KeyClass::Account, 1).await.expect("nobody has it").lease;
    let standing = one.standing(&lease);
    let server = Pid::from_raw(cluster.embedded.pid().try_into().unwrap());
    kill(server, Signal::SIGQUIT).unwrap();
    let stopped = Instant::now();
    wait_until(MINUTE, "a suspended lease", async || (*standing.borrow() == Standing::Suspended).then_some(())).await;
    let waited = stopped.elapsed();
    assert!(waited > Duration::from_secs(2) && waited < Duration::from_secs(7), "{waited:?}");
    assert!(!one.holds(&lease));
    tokio::time::sleep(Duration::from_secs(3)).await;
    cluster.embedded.restart(Restart::Fast).await.unwrap();
    let wanted = async || {
        assert!(claim_one(&two, KeyClass::Account, 1).await.is_err(), "the owner is alive");
        one.holds(&lease).then_some(())
    };
    wait_until(MINUTE, "the lease in force again", wanted).await;
    assert_eq!(*standing.borrow(), Standing::InForce);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_waits_for_the_last_write_of_the_old_owner() {
    let database = database().await;
    let (one, two) = (claims(&database.url).await, claims(&database.url).await);
    let lease = claim_one(&one, KeyClass::Account, 1).await.expect("nobody has it").lease;
    let mut write = database.store.begin().await.unwrap();
    leases::check(&mut write, &lease).await.expect("in force");
    one.give_back(&lease).await;
    for _ in 0..5 {
        assert!(claim_one(&two, KeyClass::Account, 1).await.is_err(), "a write of the old owner is not committed yet");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    write.commit().await.unwrap();
    granted(&two, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_in_our_name_that_we_know_nothing_of_is_given_back() {
    let database = database().await;
    let one = claims(&database.url).await;
    sqlx::query("insert into personal_telegram_leases (class, object, owner) values (7101, 9, $1)")
        .bind(one.name())
        .execute(database.store.pool())
        .await
        .unwrap();
    wait_until(MINUTE, "a row without owner", async || {
        let owner = sqlx::query_scalar::<_, Option<String>>("select owner from personal_telegram_leases where object = 9");
        owner.fetch_one(database.store.pool()).await.unwrap().is_none().then_some(())
    })
    .await;
}

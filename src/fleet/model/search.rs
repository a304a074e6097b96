//! Many runs: none may show anything while every rule is kept, and one must for each rule that is left out.

use super::rules::{Rule, Rules, Window};
use super::schedule::Kind::{CutDatabase, CutTelegram, Drop, EndSessions, Freeze, GiveBack, Leave, Restart, Stall, Stop};
use super::schedule::{Schedule, Weather};
use super::world::Run;
use std::ops::Range;

/// How many schedules a search may try.
const PATIENCE: u64 = 20_000;

/// The first violation that the schedules of these seeds show: its schedule, made small, with everything that happened.
fn find(rules: Rules, weather: Weather, seeds: Range<u64>) -> Option<String> {
    let fails = |schedule: &Schedule| Run::judge(schedule, rules, weather, false).is_err();
    let seed = seeds.into_iter().find(|seed| fails(&Schedule::random(*seed, weather)))?;
    let smallest = Schedule::random(seed, weather).shrink(fails);
    let violation = Run::judge(&smallest, rules, weather, true).expect_err("it failed before");
    Some(format!("{smallest:?}\n{}\n=> {}", violation.trace.join("\n"), violation.what))
}

/// How many times as many schedules as usual are to be tried (`OWNERSHIP_RUNS`).
fn thoroughness() -> u64 {
    std::env::var("OWNERSHIP_RUNS").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

fn nothing_is_found(weather: Weather, seeds: Range<u64>) {
    if let Some(found) = find(Rules::default(), weather, seeds) {
        panic!("{weather:?}: {found}");
    }
}

#[test]
fn with_all_rules_no_connection_overlaps_no_write_is_stale_and_the_account_is_served_again() {
    nothing_is_found(Weather::Any, 0..400 * thoroughness());
}

#[test]
fn with_all_rules_nothing_happens_under_the_faults_that_show_what_each_is_for() {
    for (_, weather, _, from) in NEEDED {
        nothing_is_found(weather, from..from + 6 * thoroughness());
    }
}

#[test]
fn the_account_of_one_that_dies_is_served_15_s_later_by_another() {
    nothing_is_found(Weather::KillsOfOne, 0..100 * thoroughness());
}

#[test]
fn a_restart_of_postgresql_moves_no_account() {
    nothing_is_found(Weather::RestartsOnly, 0..100 * thoroughness());
}

const OVERLAP: &str = "is connected";
const STALE_WRITE: &str = "is committed after";

/// Each rule, the faults under which it is missed, what a judge sees then, and where to begin: a little before a schedule that shows it,
/// because some need luck. From there the search goes on for as long as [`PATIENCE`] lasts.
const NEEDED: [(Rule, Weather, &str, u64); 18] = [
    (Rule::LockToTake, Weather::Of(&[Stop]), OVERLAP, 0),
    (Rule::LeaseToTake, Weather::Of(&[CutDatabase]), OVERLAP, 0),
    (Rule::LockToRenew, Weather::Of(&[EndSessions, Stop]), OVERLAP, 0),
    (Rule::ConfirmedAtBeginning, Weather::Of(&[Drop, Stop]), OVERLAP, 10200),
    (Rule::RenewalClearsOrphaned, Weather::Of(&[CutDatabase, Freeze]), OVERLAP, 780),
    (Rule::Fence, Weather::Of(&[CutDatabase]), OVERLAP, 0),
    (Rule::GateBeforeDial, Weather::Of(&[Drop, Stop]), OVERLAP, 380),
    (Rule::GateBeforePing, Weather::Of(&[Stall]), OVERLAP, 0),
    (Rule::BootClock, Weather::Of(&[Freeze]), OVERLAP, 80),
    (Rule::PingFirst, Weather::Of(&[Stop]), OVERLAP, 0),
    (Rule::Settled, Weather::Of(&[CutDatabase]), OVERLAP, 0),
    (Rule::Gone, Weather::Of(&[Freeze]), OVERLAP, 0),
    (Rule::ProofOnlyWhileYoung, Weather::Of(&[Freeze]), OVERLAP, 0),
    (Rule::ProofOnlyIfLocksKept, Weather::Of(&[Stop, Restart]), OVERLAP, 200),
    (Rule::EndOnlyTheSilent, Weather::SlowStops, OVERLAP, 3870),
    (Rule::GiveBackAfterClose, Weather::Of(&[Leave, GiveBack]), OVERLAP, 0),
    (Rule::WriteChecksLease, Weather::Of(&[Stop]), STALE_WRITE, 0),
    (Rule::TakeWaitsForWrites, Weather::Of(&[CutDatabase, EndSessions]), STALE_WRITE, 4890),
];

#[test]
fn each_rule_is_missed_when_it_is_left_out() {
    for (rule, weather, what, from) in NEEDED {
        let found = find(Rules { without: Some(rule), open: None }, weather, from..from + PATIENCE);
        let found = found.unwrap_or_else(|| panic!("nothing happens without {rule:?} under {weather:?}: is it needed?"));
        assert!(found.lines().last().is_some_and(|violation| violation.contains(what)), "without {rule:?}: {found}");
    }
}

/// Without it nothing overlaps; but accounts leave owners that would have been back in a moment.
#[test]
fn without_the_grace_a_restart_of_postgresql_moves_accounts() {
    let found = find(Rules { without: Some(Rule::Grace), open: None }, Weather::RestartsOnly, 700..PATIENCE);
    assert!(found.is_some_and(|found| found.ends_with("moved the account")));
}

/// They stand behind others. Whoever holds the lock has nobody who could renew beside it; and one whose session is ended by mistake has not
/// taken the lease yet.
#[test]
fn two_rules_are_not_missed_while_the_others_are_kept() {
    for rule in [Rule::TakeLeavesFresh, Rule::EndByName] {
        assert_eq!(find(Rules { without: Some(rule), open: None }, Weather::SlowStops, 0..50 * thoroughness()), None, "{rule:?}");
    }
}

/// What the ADR admits. That each is found shows that the search would see it, and that nothing else is spared in its name.
const WINDOWS: [(Window, Weather, u64); 6] = [
    (Window::StopWhileDialing, Weather::Of(&[Drop, Stop]), 510),
    (Window::StopBeforeFirstPing, Weather::Of(&[Drop, Stop]), 30),
    (Window::LatePing, Weather::Of(&[CutTelegram, Stop]), 9530),
    (Window::UnaskedPing, Weather::Of(&[Stop]), 13_550),
    (Window::SessionEndsUnderStop, Weather::Of(&[EndSessions, Stop]), 130),
    (Window::UnheardClose, Weather::Of(&[CutTelegram, Leave]), 30),
];

#[test]
fn each_window_that_remains_is_real() {
    for (window, weather, from) in WINDOWS {
        let found = find(Rules { without: None, open: Some(window) }, weather, from..from + PATIENCE);
        assert!(found.is_some(), "nothing happens through {window:?} under {weather:?}");
    }
}

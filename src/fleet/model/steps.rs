//! What the thread with the lock's session does next, answer by answer, as in `lock_session` and `taking`. Decisions are those of
//! `takeover`.

use super::keeper::Held;
use super::link::Link;
use super::rules::{Rule, Rules};
use super::statements::Answer;
use super::worker::Worker;
use super::world::World;
use super::{Ms, as_ms};
use crate::fleet::takeover::{self, Decision, FENCE, GONE, GRACE, RENEWAL, SETTLED, SILENT};
use tuberry_domain::ports::Reuse;
use tuberry_storage::leases::Found;

/// `lock_session::INTEREST`.
const INTEREST: Ms = 5000;
/// Instead of [`RENEWAL`], where there is nothing to renew.
const IDLE_RENEWAL: Ms = 20_000;
/// What the session waits for an answer to.
#[derive(Clone, Debug)]
pub enum Step {
    Relock,
    Renew {
        own: Option<(i64, bool)>,
    },
    LookWhoTook,
    Look,
    TryLock(Found),
    LookAgain,
    MarkOrphaned(Found),
    Take(i64),
    GiveBack(i64),
    EndHolder(Found),
    /// A last statement, whose answer says nothing.
    Unlock,
}

/// What a taker without some rule believes to see.
fn distorted(rules: Rules, found: &Found) -> Found {
    let mut found = found.clone();
    found.locks_kept |= !rules.keep(Rule::ProofOnlyIfLocksKept);
    if !rules.keep(Rule::ProofOnlyWhileYoung) {
        found.orphaned |= takeover::proves_orphaned(&Found { age: found.age.min(SILENT), ..found.clone() });
    }
    let orphaned = found.orphaned || takeover::proves_orphaned(&found);
    if orphaned && !rules.keep(Rule::Settled) {
        found = Found { orphaned, age: found.age + (SETTLED - SILENT), ..found };
    } else if !orphaned && !rules.keep(Rule::Gone) {
        found.age += GONE - SETTLED;
    }
    if !rules.keep(Rule::LeaseToTake) {
        found.age = GONE;
    }
    found
}

impl Worker {
    /// What follows from an answer to a statement that began at `began`.
    pub fn answered(&mut self, world: &mut World, step: Step, began: Ms, answer: Answer) -> Option<Step> {
        let (me, now) = (self.name.to_string(), self.lease_clock(world));
        let began = if world.rules.keep(Rule::ConfirmedAtBeginning) { began } else { now };
        match (step, answer) {
            (Step::Relock, Answer::Locked(locked)) => {
                self.keeper.held.as_mut()?.locked = locked;
                Some(self.renewal())
            }
            (Step::Renew { own }, Answer::Renewed(renewed)) => {
                let keeps = own.is_some_and(|(_, locked)| locked || !world.rules.keep(Rule::LockToRenew));
                match self.keeper.held {
                    Some(held) if renewed => {
                        let suspended = held.suspended && now - began >= as_ms(FENCE);
                        self.keeper.held = Some(Held { confirmed: began, suspended, ..held });
                        self.keeper.fence_at = self.timer(world.now) + as_ms(FENCE).saturating_sub(now - began);
                        self.keeper.fence_at += world.dice.u64(..200);
                        self.let_go(now)
                    }
                    Some(_) if keeps => {
                        self.keeper.held = None;
                        Some(Step::Unlock)
                    }
                    Some(_) => Some(Step::LookWhoTook),
                    None => {
                        if self.keeper.waiting.is_none() {
                            // The heartbeats of one that has nothing say nothing about the lease: fewer are enough here.
                            self.keeper.renew_at = self.timer(world.now) + IDLE_RENEWAL;
                        }
                        self.let_go(now)
                    }
                }
            }
            (Step::LookWhoTook, Answer::Found(found)) => {
                if found.owner != Some(me) {
                    self.keeper.held = None;
                }
                self.let_go(now)
            }
            (Step::Look, Answer::Found(found)) => {
                let settled = now - self.keeper.opened >= as_ms(GRACE) || !world.rules.keep(Rule::Grace);
                if takeover::may_try(&found, &me, settled) {
                    return Some(if self.keeper.waiting.is_some() { Step::LookAgain } else { Step::TryLock(found) });
                }
                self.keeper.waiting.take().map(|_| Step::Unlock)
            }
            (Step::TryLock(_), Answer::Locked(true)) => {
                self.keeper.renew_at = self.keeper.renew_at.min(self.timer(world.now) + as_ms(RENEWAL));
                self.keeper.waiting = Some(now);
                Some(Step::LookAgain)
            }
            (Step::TryLock(found), _) => (found.age >= GONE && found.owner.is_some()).then_some(Step::EndHolder(found)),
            (Step::LookAgain, Answer::Found(found)) => {
                let found = distorted(world.rules, &found);
                if takeover::proves_orphaned(&found) && !found.orphaned {
                    return Some(Step::MarkOrphaned(found));
                }
                self.decide(&found, now)
            }
            (Step::MarkOrphaned(found), _) => self.decide(&found, now),
            (Step::Take(_), Answer::Taken(Some(epoch))) => {
                self.keeper.waiting = None;
                self.keeper.held = Some(Held { epoch, confirmed: began, locked: true, suspended: false });
                self.keeper.fence_at = self.timer(world.now) + world.dice.u64(..200);
                self.link = Some(Link::new(epoch, self.timer(world.now)));
                None
            }
            (Step::GiveBack(epoch), _) => {
                self.keeper.give_back = None;
                let held = self.keeper.held.take_if(|held| held.epoch == epoch)?;
                held.locked.then_some(Step::Unlock)
            }
            _ => None,
        }
    }

    fn decide(&mut self, found: &Found, now: Ms) -> Option<Step> {
        match takeover::decide(found, &self.name.to_string(), Reuse::Required) {
            Decision::Take { .. } => Some(Step::Take(found.epoch)),
            Decision::Wait(_) => {
                self.keeper.waiting = Some(now);
                None
            }
        }
    }

    /// A lock that nobody asked for lately.
    fn let_go(&mut self, now: Ms) -> Option<Step> {
        self.keeper.waiting.take_if(|asked| now - *asked > INTEREST).map(|_| Step::Unlock)
    }
}

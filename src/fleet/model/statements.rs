//! What the claims ask of PostgreSQL, and what it does: the statements of `tuberry_storage::leases`, for one object.

use super::database::{Database, Row, Session, SessionId};
use super::rules::{Rule, Rules};
use super::{Ms, Name, Slot, as_duration, as_ms};
use crate::fleet::takeover::{GONE, SETTLED, SILENT};
use tuberry_storage::leases::Found;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub enum Statement {
    TryLock,
    Unlock,
    Find,
    MarkOrphaned {
        epoch: i64,
    },
    Take {
        epoch: i64,
    },
    /// The heartbeat, and the renewal of what the process counts as its own: epoch, and whether it has the lock.
    Renew {
        own: Option<(i64, bool)>,
        beats: bool,
    },
    GiveBack {
        epoch: i64,
    },
    EndHolder {
        owner: Name,
    },
}

/// What is answered.
#[derive(Clone, Debug)]
pub enum Answer {
    Done,
    Locked(bool),
    Found(Found),
    Taken(Option<i64>),
    Renewed(bool),
}

impl Database {
    /// Executes what came over a session of a process.
    pub(super) fn execute(&mut self, now: Ms, rules: Rules, by: (SessionId, Slot, Name), statement: Statement) -> Answer {
        let (id, slot, me) = by;
        let mine = self.row.owner == Some(me);
        let fresh = self.row.renewed_at + as_ms(SILENT) > now;
        match statement {
            Statement::TryLock => {
                let locked = *self.lock.get_or_insert(id) == id;
                if locked {
                    self.lock_lost[slot] = None;
                }
                return Answer::Locked(locked || !rules.keep(Rule::LockToTake));
            }
            Statement::Unlock => drop(self.lock.take_if(|holder| *holder == id)),
            Statement::Find => return Answer::Found(self.find(now)),
            Statement::MarkOrphaned { epoch } => {
                let young = self.row.renewed_at + as_ms(SETTLED) > now;
                self.row.orphaned |= young && self.row.epoch == epoch && self.row.owner.is_some();
            }
            Statement::Take { epoch } => {
                let held = rules.keep(Rule::TakeWaitsForWrites) && self.writes.iter().any(|write| write.holds_row);
                let free = self.row.owner.is_none() || mine || !fresh || !rules.keep(Rule::TakeLeavesFresh);
                if held || !free || self.row.epoch != epoch {
                    return Answer::Taken(None);
                }
                self.takeovers += u32::from(self.row.owner.is_some() && !mine);
                self.row = Row { owner: Some(me), epoch: epoch + 1, renewed_at: now, orphaned: false };
                return Answer::Taken(Some(epoch + 1));
            }
            Statement::Renew { own, beats } => {
                if beats {
                    self.heartbeats[slot] = Some((me, now));
                }
                let locked = own.is_none_or(|(_, locked)| locked || !rules.keep(Rule::LockToRenew));
                if mine && locked {
                    let known = own.is_some_and(|(epoch, _)| epoch == self.row.epoch);
                    self.row.owner = known.then_some(me);
                    self.row.renewed_at = now;
                    self.row.orphaned &= !rules.keep(Rule::RenewalClearsOrphaned);
                    return Answer::Renewed(known);
                }
                return Answer::Renewed(false);
            }
            Statement::GiveBack { epoch } => {
                if mine && self.row.epoch == epoch {
                    self.row = Row { owner: None, epoch, renewed_at: now, orphaned: false };
                }
            }
            Statement::EndHolder { owner } => {
                let silent = self.row.owner == Some(owner) && self.row.renewed_at + as_ms(GONE) <= now;
                let named = |session: &Session| session.name == owner || !rules.keep(Rule::EndByName);
                let ends = |session: &Session| named(session) && (silent || !rules.keep(Rule::EndOnlyTheSilent));
                let holder = self.lock.filter(|holder| *holder != id);
                if let Some(session) = holder.and_then(|holder| self.session(holder)).filter(|session| ends(session)) {
                    let ended = (session.id, session.slot);
                    self.end_session(ended.0, now);
                    // Ended by the protocol, not by itself.
                    self.lock_lost[ended.1] = None;
                }
            }
        }
        Answer::Done
    }

    /// The row as a taker finds it.
    pub fn find(&self, now: Ms) -> Found {
        let row = &self.row;
        let heartbeat = row.owner.and_then(|owner| self.heartbeats.iter().flatten().find(|(name, _)| *name == owner));
        Found {
            rest: std::time::Duration::ZERO,
            object: 1,
            owner: row.owner.map(|owner| owner.to_string()),
            epoch: row.epoch,
            age: as_duration(now - row.renewed_at),
            owner_silent: heartbeat.map(|(_, at)| as_duration(now - at)),
            orphaned: row.orphaned,
            locks_kept: self.up_since < row.renewed_at,
        }
    }
}

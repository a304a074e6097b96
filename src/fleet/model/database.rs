//! PostgreSQL as the claims see it: one lease row, its advisory lock, the sessions of the workers, and their writes. A statement
//! reaches it some time after it was sent, whether its sender still runs or not; the answer waits for the sender.

use super::rules::{Rule, Rules};
use super::statements::{Answer, Statement};
use super::{Ms, Name, Slot};

/// When the server notices that a session's host says nothing any more (keepalive, `tcp_user_timeout`).
const NOTICES_SILENCE: Ms = 25_000;
/// `idle_in_transaction_session_timeout`.
const IDLE_IN_TRANSACTION: Ms = 60_000;

pub type SessionId = usize;
pub type TxId = usize;

/// The lease.
#[derive(Clone, Copy, Debug, Default)]
pub struct Row {
    pub owner: Option<Name>,
    pub epoch: i64,
    pub renewed_at: Ms,
    pub orphaned: bool,
}

pub(super) struct Session {
    pub id: SessionId,
    pub slot: Slot,
    pub name: Name,
    request: Option<(Ms, Statement)>,
    answer: Option<(Ms, Answer)>,
    client_gone: bool,
    /// Since when nothing comes from its host.
    silent_since: Option<Ms>,
}

/// A transaction that writes on the strength of the lease.
pub(super) struct Write {
    id: TxId,
    slot: Slot,
    epoch: i64,
    /// It holds the row `for key share`.
    pub holds_row: bool,
    idle_until: Ms,
    /// When its `commit`, once sent, arrives.
    commits: Option<Ms>,
}

#[derive(Default)]
pub struct Database {
    pub row: Row,
    pub(super) up_since: Ms,
    pub(super) lock: Option<SessionId>,
    sessions: Vec<Session>,
    ids: usize,
    /// By slot: the last heartbeat with its name.
    pub(super) heartbeats: Vec<Option<(Name, Ms)>>,
    pub cut: Vec<bool>,
    /// By slot: when its session with the lock ended by itself, until it has the lock again.
    pub lock_lost: Vec<Option<Ms>>,
    pub(super) writes: Vec<Write>,
    last_write: i64,
    /// How often a lease went from one owner to another without having been given back.
    pub takeovers: u32,
    /// The first write of a former owner after a later one's.
    pub stale_write: Option<String>,
}

impl Database {
    pub fn new(slots: usize) -> Self {
        Self { heartbeats: vec![None; slots], cut: vec![false; slots], lock_lost: vec![None; slots], ..Self::default() }
    }

    pub fn is_reached_by(&self, slot: Slot, now: Ms) -> bool {
        now >= self.up_since && !self.cut[slot]
    }

    pub(super) fn session(&mut self, id: SessionId) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.id == id)
    }

    pub fn is_alive(&self, id: SessionId) -> bool {
        self.sessions.iter().any(|session| session.id == id)
    }

    /// Opens a session, and ends the last one of the same process.
    pub fn connect(&mut self, now: Ms, slot: Slot, name: Name, last: Option<SessionId>) -> SessionId {
        last.into_iter().for_each(|last| self.end_session(last, now));
        self.ids += 1;
        let session = Session { id: self.ids, slot, name, request: None, answer: None, client_gone: false, silent_since: None };
        self.sessions.push(session);
        self.ids
    }

    pub fn send(&mut self, id: SessionId, arrives: Ms, statement: Statement) {
        if let Some(session) = self.session(id) {
            session.request = Some((arrives, statement));
        }
    }

    /// When the answer arrives.
    pub fn answer_at(&self, id: SessionId) -> Option<Ms> {
        let session = self.sessions.iter().find(|session| session.id == id)?;
        session.answer.as_ref().filter(|_| !self.cut[session.slot]).map(|(at, _)| *at)
    }

    pub fn take_answer(&mut self, id: SessionId) -> Option<Answer> {
        self.session(id)?.answer.take().map(|(_, answer)| answer)
    }

    /// The session ends by itself: its lock is free.
    pub fn end_session(&mut self, id: SessionId, now: Ms) {
        if self.lock == Some(id) {
            self.lock = None;
            if let Some(slot) = self.session(id).map(|session| session.slot) {
                self.lock_lost[slot] = Some(now);
            }
        }
        self.sessions.retain(|session| session.id != id);
    }

    /// The client closes a session, or ends; through a network that is cut, that is not heard.
    pub fn hang_up(&mut self, id: SessionId, now: Ms) {
        let Some(session) = self.session(id) else { return };
        session.client_gone = true;
        let slot = session.slot;
        if !self.cut[slot] {
            self.end_session(id, now);
        }
    }

    fn sessions_of(&self, slot: Slot) -> Vec<SessionId> {
        self.sessions.iter().filter(|session| session.slot == slot).map(|session| session.id).collect()
    }

    /// Ends the sessions for locks of one process at once.
    pub fn end_lock_sessions(&mut self, slot: Slot, now: Ms) {
        self.sessions_of(slot).into_iter().for_each(|id| self.end_session(id, now));
    }

    /// Ends all sessions of one process at once.
    pub fn end_sessions(&mut self, slot: Slot, now: Ms) {
        self.end_lock_sessions(slot, now);
        self.writes.retain(|write| write.slot != slot);
    }

    /// From now on nothing comes from this process' host.
    pub fn falls_silent(&mut self, name: Name, now: Ms) {
        for session in self.sessions.iter_mut().filter(|session| session.name == name) {
            session.silent_since.get_or_insert(now);
        }
    }

    /// What the network held up arrives.
    pub fn is_heard_again(&mut self, name: Name, now: Ms) {
        for session in self.sessions.iter_mut().filter(|session| session.name == name) {
            session.silent_since = None;
            if let Some((arrives, _)) = &mut session.request {
                *arrives = now.max(*arrives) + 1;
            }
        }
    }

    /// All sessions, locks and transactions end; the rows stay.
    pub fn restart(&mut self, up_since: Ms) {
        (self.lock, self.up_since) = (None, up_since);
        self.sessions.clear();
        self.writes.clear();
    }

    /// Is up now at the latest.
    pub fn come_up(&mut self, now: Ms) {
        self.up_since = self.up_since.min(now);
    }

    /// Runs what has arrived, and ends what is over.
    pub fn run(&mut self, now: Ms, rules: Rules, latency: Ms) {
        let is_over = |session: &&Session| session.silent_since.is_some_and(|since| now >= since + NOTICES_SILENCE);
        for id in self.sessions.iter().filter(is_over).map(|session| session.id).collect::<Vec<_>>() {
            self.end_session(id, now);
        }
        self.writes.retain(|write| write.idle_until > now);
        let (cut, arrived) = (&self.cut, |at: Option<Ms>| at.is_some_and(|at| at <= now));
        let committed = self.writes.extract_if(.., |write| arrived(write.commits) && !cut[write.slot]);
        committed.collect::<Vec<_>>().iter().for_each(|write| self.commit(write));
        for id in self.sessions.iter().map(|session| session.id).collect::<Vec<_>>() {
            let up = now >= self.up_since;
            let cut = &self.cut;
            let session = self.sessions.iter_mut().find(|session| session.id == id);
            let Some(session) = session.filter(|session| up && !cut[session.slot]) else { continue };
            if let Some((_, statement)) = session.request.take_if(|(arrives, _)| *arrives <= now) {
                let (slot, name) = (session.slot, session.name);
                let answer = self.execute(now, rules, (id, slot, name), statement);
                let back = now + latency;
                if let Some(session) = self.session(id) {
                    session.answer = Some((back, answer));
                }
            }
            if self.session(id).is_some_and(|session| session.client_gone && session.request.is_none()) {
                self.end_session(id, now);
            }
        }
    }

    pub fn begin(&mut self, now: Ms, slot: Slot, epoch: i64) -> TxId {
        self.ids += 1;
        let idle_until = now + IDLE_IN_TRANSACTION;
        self.writes.push(Write { id: self.ids, slot, epoch, holds_row: false, idle_until, commits: None });
        self.ids
    }

    /// The first statement of a transaction: the lease must be `me`'s, and stays so until its end. False: fenced, or ended by the server.
    pub fn check(&mut self, now: Ms, rules: Rules, id: TxId, me: Name) -> bool {
        let row = self.row;
        let Some(write) = self.writes.iter_mut().find(|write| write.id == id) else { return false };
        let checks = rules.keep(Rule::WriteChecksLease);
        write.holds_row = checks;
        write.idle_until = now + IDLE_IN_TRANSACTION;
        !checks || (row.owner == Some(me) && row.epoch == write.epoch)
    }

    /// Sends the `commit`.
    pub fn send_commit(&mut self, id: TxId, arrives: Ms) {
        self.writes.iter_mut().filter(|write| write.id == id).for_each(|write| write.commits = Some(arrives));
    }

    fn commit(&mut self, write: &Write) {
        if write.epoch < self.last_write {
            let (epoch, last) = (write.epoch, self.last_write);
            self.stale_write.get_or_insert(format!("a write of epoch {epoch} is committed after one of epoch {last}"));
        }
        self.last_write = self.last_write.max(write.epoch);
    }

    /// Ends a transaction without a commit; in vain if that was sent, unheard through a network that is cut.
    pub fn roll_back(&mut self, id: TxId) {
        let cut = &self.cut;
        self.writes.retain(|write| write.id != id || cut[write.slot] || write.commits.is_some());
    }

    /// When something is due here.
    pub fn next(&self) -> Ms {
        let mut next = Ms::MAX;
        for session in &self.sessions {
            if let Some((arrives, _)) = session.request.filter(|_| !self.cut[session.slot]) {
                next = next.min(arrives.max(self.up_since));
            }
            next = next.min(session.silent_since.map_or(Ms::MAX, |since| since + NOTICES_SILENCE));
        }
        for write in &self.writes {
            let commits = write.commits.filter(|_| !self.cut[write.slot]);
            next = next.min(write.idle_until).min(commits.unwrap_or(Ms::MAX));
        }
        next
    }
}

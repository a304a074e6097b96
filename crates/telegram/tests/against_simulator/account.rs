//! An account and what a database would hold of it.

use crate::stage::Stage;
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::timeout;
use tuberry_domain::account::Accepts;
use tuberry_domain::intake::{Batch, Incoming, Peer, UpdateState};
use tuberry_domain::ports::OutgoingText;
use tuberry_domain::session::StringSession;
use tuberry_domain::text::FormattedText;
use tuberry_domain::{ChatId, ChatKind, TelegramMessageId, TelegramUserId};
use tuberry_telegram::{AccountLink, Calls, Floors, Intake, IntakeError, LinkStart, LinkStatus};

pub const PATIENCE: Duration = Duration::from_secs(15);

/// What is committed.
pub struct Rows {
    pub session: StringSession,
    pub self_id: TelegramUserId,
    pub state: UpdateState,
    pub peers: HashMap<ChatId, Peer>,
    pub messages: Vec<Incoming>,
    ids: HashSet<(ChatId, TelegramMessageId)>,
    /// Messages that came although they were there.
    pub repeats: usize,
}

impl Rows {
    pub fn new(session: StringSession, self_id: TelegramUserId, state: UpdateState) -> Self {
        let (peers, messages, ids) = (HashMap::new(), Vec::new(), HashSet::new());
        Self { session, self_id, state, peers, messages, ids, repeats: 0 }
    }

    pub fn commit(&mut self, batch: Batch) {
        for peer in batch.peers {
            let known = self.peers.get(&peer.chat).and_then(|known| known.access_hash);
            let access_hash = peer.access_hash.or(known);
            self.peers.insert(peer.chat, Peer { access_hash, ..peer });
        }
        for message in batch.messages {
            if self.ids.insert((message.chat, message.id)) {
                self.messages.push(message);
            } else {
                self.repeats += 1;
            }
        }
        self.state = batch.state.unwrap_or_else(|| self.state.clone());
    }

    pub fn texts(&self) -> Vec<&str> {
        self.messages.iter().map(|message| message.text.text.as_str()).collect()
    }
}

/// A connected account.
pub struct Account {
    pub rows: Rows,
    pub accepts: Arc<Mutex<Accepts>>,
    pub gate: Arc<AtomicBool>,
    pub link: Option<AccountLink>,
    pub intake: Intake,
}

impl Account {
    /// An account that is connected and has settled, its owner, and somebody who writes to it.
    pub async fn settled(stage: &Stage) -> (Self, i64, i64) {
        let (anna, boris) = (stage.user(json!({})).await, stage.user(json!({"first_name": "Борис"})).await);
        let mut account = Self::new(stage, anna).await;
        account.reaches(LinkStatus::Up).await;
        account.settle().await;
        (account, anna, boris)
    }

    /// Logs the user in and connects.
    pub async fn new(stage: &Stage, user: i64) -> Self {
        let (session, me, state) = stage.log_in(user).await;
        Self::open(stage, Rows::new(session, me.id, state), Accepts { private: true, groups: true, channels: true })
    }

    pub fn open(stage: &Stage, rows: Rows, accepts: Accepts) -> Self {
        let self_id = Some(rows.self_id);
        let last = rows.messages.iter().filter(|m| m.chat.kind() == ChatKind::Channel).map(|m| (m.chat, m.id)).collect();
        Self::begin(stage, rows, accepts, self_id, Floors { last, since: None }, Vec::new())
    }

    /// An account of which an old system knew only so much.
    pub fn begin(
        stage: &Stage,
        rows: Rows,
        accepts: Accepts,
        self_id: Option<TelegramUserId>,
        floors: Floors,
        strangers: Vec<ChatId>,
    ) -> Self {
        let (accepts, gate) = (Arc::new(Mutex::new(accepts)), Arc::new(AtomicBool::new(true)));
        let (accepted, open) = (accepts.clone(), gate.clone());
        let start = LinkStart {
            session: rows.session.clone(),
            self_id,
            floors,
            strangers,
            state: rows.state.clone(),
            proxy: None,
            peers: rows.peers.values().cloned().collect(),
            last_message: rows.messages.iter().filter(|m| m.chat.kind() != ChatKind::Channel).map(|m| m.id).max(),
            accepts: Arc::new(move || *accepted.lock().unwrap()),
            gate: Arc::new(move || open.load(Ordering::Relaxed)),
        };
        let (link, intake) = AccountLink::open(stage.network.clone(), start);
        Self { rows, accepts, gate, link: Some(link), intake }
    }

    pub fn calls(&self) -> Calls {
        self.link.as_ref().unwrap().calls()
    }

    /// Waits until the connection's status is this.
    pub async fn reaches(&self, wanted: LinkStatus) {
        let mut status = self.link.as_ref().unwrap().status();
        timeout(PATIENCE, status.wait_for(|status| *status == wanted)).await.expect("the status comes").unwrap();
    }

    /// Takes and commits until so many messages are there.
    pub async fn until(&mut self, count: usize) {
        while self.rows.messages.len() < count {
            let next = timeout(PATIENCE, self.intake.next_batch()).await;
            let batch = next.unwrap_or_else(|_| panic!("{} of {count} messages came", self.rows.messages.len())).unwrap();
            self.rows.commit(batch);
            self.intake.committed();
        }
    }

    /// Takes and commits whatever still comes, until nothing comes for a while.
    pub async fn settle(&mut self) {
        while let Ok(batch) = timeout(Duration::from_millis(700), self.intake.next_batch()).await {
            self.rows.commit(batch.unwrap());
            self.intake.committed();
        }
    }

    /// Takes batches until the intake ends.
    pub async fn end(&mut self) -> IntakeError {
        loop {
            match timeout(PATIENCE, self.intake.next_batch()).await.expect("the intake ends") {
                Ok(batch) => self.rows.commit(batch),
                Err(error) => return error,
            }
        }
    }

    /// Gives the account back.
    pub async fn close(&mut self) {
        self.link.take().expect("an open link").close().await;
    }

    /// Takes the account again, as another worker would, after giving it back if nobody did.
    pub async fn reopen(mut self, stage: &Stage) -> Self {
        if self.link.is_some() {
            self.close().await;
        }
        let accepts = *self.accepts.lock().unwrap();
        Self::open(stage, self.rows, accepts)
    }

    /// A text to somebody whom the account has met.
    pub fn text_to(&self, peer: i64, random_id: i64, text: &str) -> OutgoingText {
        let peer = self.rows.peers[&ChatId(peer)].clone();
        OutgoingText { peer, text: FormattedText::plain(text), random_id, reply_to: None }
    }
}

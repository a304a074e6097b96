//! What an account receives, as batches with the update state that belongs to them. Drives grammers' `MessageBoxes` itself: in a
//! difference every message carries the final pts, so all that one answer of Telegram's brought is one batch. A state never goes before what it
//! covers, and what is remembered of a batch counts once that is committed.

mod backfill;
mod beginning;
mod difference;
mod filter;
mod hearing;
mod heights;
mod known;

use super::backoff::Backoff;
use super::calls::Calls;
use super::connection::Fed;
use super::messages::incoming;
use super::peers::self_user;
use super::shared::LinkStatus;
use backfill::Found;
use beginning::Beginning;
pub use beginning::Floors;
use grammers_session::types::{ChannelState, UpdatesState};
use grammers_session::updates::{MessageBoxes, UpdatesLike};
use grammers_tl_types::{enums, functions};
pub(crate) use hearing::Probed;
use hearing::{Hearing, Verdict};
use heights::Heights;
pub(crate) use known::Known;
use known::Seen;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};
use tuberry_domain::account::AccountProblem;
use tuberry_domain::intake::{Batch, Incoming, Peer, UpdateState};
use tuberry_domain::ports::CallError;
use tuberry_domain::{ChatId, TelegramMessageId};

/// The intake has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// The account is out of service.
    #[error("the account is out of service: {0:?}")]
    Ended(AccountProblem),
    /// The connection was closed by us.
    #[error("closed")]
    Closed,
}

/// The intake of one account. Take a batch, commit it, say so; or [`Intake::reload`] when the commit failed.
pub struct Intake {
    calls: Calls,
    feed: mpsc::Receiver<Fed>,
    known: Known,
    boxes: MessageBoxes,
    /// The state of the last batch that was handed out.
    state: UpdateState,
    /// When a state that moved without messages is to be handed out.
    flush_at: Option<Instant>,
    /// The next batch.
    ready: Option<Batch>,
    heights: Heights,
    /// What is asked once at first: of an account without a state, or with dialogs whose people it never met.
    beginning: Option<Beginning>,
    floors: Floors,
    strangers: Vec<ChatId>,
    pauses: Backoff,
    hearing: Hearing,
}

/// What the intake begins with.
pub(crate) struct Start {
    pub(crate) state: UpdateState,
    pub(crate) last_message: Option<TelegramMessageId>,
    pub(crate) floors: Floors,
    pub(crate) strangers: Vec<ChatId>,
}

impl Intake {
    pub(crate) fn new(calls: Calls, feed: mpsc::Receiver<Fed>, known: Known, start: Start) -> Self {
        let timings = &calls.0.network.timings;
        let pauses = Backoff::new(timings.backoff_min, timings.backoff_max);
        Self {
            calls,
            feed,
            known,
            boxes: load(&start.state),
            heights: Heights::new(start.state.date, start.last_message, &start.floors),
            state: start.state,
            flush_at: None,
            ready: None,
            beginning: None,
            floors: start.floors,
            strangers: start.strangers,
            pauses,
            hearing: Hearing::default(),
        }
    }

    /// The next batch, waiting for it as long as it takes; lost connections and Telegram's passing errors are waited out in here.
    /// The future may be dropped at any time: what it had fetched is fetched again.
    pub async fn next_batch(&mut self) -> Result<Batch, IntakeError> {
        loop {
            if let Some(batch) = self.ready.take() {
                return Ok(batch);
            }
            if self.flush_at.is_some_and(|at| at <= Instant::now()) {
                self.flush();
                continue;
            }
            let deadline = self.boxes.check_deadlines();
            if let Err(error) = self.step(deadline.into()).await {
                self.wait_out(error).await?;
            }
        }
    }

    /// The last batch is committed.
    pub fn committed(&mut self) {
        self.known.committed();
        self.heights.committed();
        self.strangers.retain(|chat| !self.known.is_met(*chat));
    }

    /// The last batch was not committed: everything since `state`, the one that is stored, will come again.
    pub fn reload(&mut self, state: UpdateState) {
        self.known.roll_back();
        self.heights.roll_back(state.date);
        self.ready = None;
        self.flush_at = None;
        self.boxes = load(&state);
        self.state = state;
        self.beginning = None;
    }

    /// One question to Telegram, or one update from it.
    async fn step(&mut self, deadline: Instant) -> Result<(), Stop> {
        if !self.known.knows_itself() {
            return self.introduce_itself().await;
        }
        if let Some(beginning) = &mut self.beginning {
            if beginning.step(&self.calls, &self.known).await? {
                self.begun();
            }
            return Ok(());
        }
        if self.boxes.is_empty() {
            return self.begin().await;
        }
        let strangers = beginning::strangers(&self.strangers, &self.known);
        if !strangers.is_empty() {
            self.beginning = Some(Beginning::of_strangers(strangers));
            return Ok(());
        }
        if let Some(request) = self.boxes.get_difference() {
            return self.difference(request).await;
        }
        if let Some(request) = self.boxes.get_channel_difference() {
            return self.channel_difference(request).await;
        }
        self.heights.caught_up(self.state.date);
        let deadline = self.flush_at.map_or(deadline, |flush| flush.min(deadline));
        let Some(until) = self.listen(deadline) else { return Ok(()) };
        let shared = self.calls.0.clone();
        let fed = tokio::select! {
            fed = timeout_at(until, self.feed.recv()) => fed,
            () = shared.listen.notified() => return Ok(()),
        };
        match fed {
            Ok(Some(Fed::Update(update))) => self.take(*update),
            // Updates were missed, in the channels as well.
            Ok(Some(Fed::Connected)) => {
                self.hearing.connected();
                self.boxes = MessageBoxes::load(self.boxes.session_state());
            }
            Ok(Some(Fed::Overflow)) => self.boxes = MessageBoxes::load(self.boxes.session_state()),
            Ok(None) => return Err(Stop::Gone),
            Err(_) => {}
        }
        Ok(())
    }

    /// Compares the last probe with what has come in. How long to wait for updates, `deadline` at most; `None`: something is to be fetched.
    fn listen(&mut self, deadline: Instant) -> Option<Instant> {
        let shared = &self.calls.0;
        let Some(probed) = shared.probed() else { return Some(deadline) };
        let (pts, patience) = (|| self.boxes.session_state().pts, shared.network.timings.deaf_after);
        let verdict = self.hearing.judge(probed, pts, !self.feed.is_empty(), patience);
        match verdict {
            Verdict::Nothing => Some(deadline),
            Verdict::Alive => {
                shared.prove();
                Some(deadline)
            }
            Verdict::WaitUntil(until) => Some(deadline.min(until)),
            Verdict::Fetch | Verdict::Deaf => {
                tracing::warn!(user = %self.known.self_chat(), ?verdict, "updates were not pushed: fetching them");
                if verdict == Verdict::Deaf {
                    shared.replace_deaf();
                }
                let _ = self.boxes.process_updates(UpdatesLike::ConnectionClosed);
                None
            }
        }
    }

    /// Asks who the account is: an old system need not have written that down.
    async fn introduce_itself(&mut self) -> Result<(), Stop> {
        let request = functions::users::GetUsers { id: vec![enums::InputUser::UserSelf] };
        let users = self.calls.invoke(&request).await?;
        let Some(user) = users.first().and_then(self_user) else {
            return Err(Stop::Call(CallError::Lost("no answer to who we are".into())));
        };
        self.known.is_user(user.id);
        self.ready = Some(Batch { owner: Some(user), ..Batch::default() });
        Ok(())
    }

    /// An account without a state begins where Telegram is now, and looks back from there to what is stored.
    async fn begin(&mut self) -> Result<(), Stop> {
        let state = self.calls.invoke(&functions::updates::GetState {}).await?;
        self.calls.0.probe_answered(&state);
        let enums::updates::State::State(state) = state;
        let strangers = beginning::strangers(&self.strangers, &self.known);
        self.beginning = Some(Beginning::from_floors(state, self.floors.clone(), strangers));
        Ok(())
    }

    /// The beginning is over. All that it brought is one batch: what was stored of it before a crash would hide the rest from the next beginning.
    fn begun(&mut self) {
        let Some(begun) = self.beginning.take().map(Beginning::finish) else { return };
        if let Some(state) = begun.state {
            self.heights.begins_at(state.date);
            self.boxes.set_state(state);
        }
        for (channel, pts) in begun.channels {
            self.boxes.try_set_channel_state(channel, pts);
        }
        let (messages, mut peers) = self.accepted(begun.found.messages.into_iter(), &begun.found.seen);
        for peer in begun.introduced {
            if self.known.learn(&peer) {
                peers.push(peer);
            }
        }
        self.hand_out(messages, peers);
    }

    fn take(&mut self, update: UpdatesLike) {
        let Some(update) = filter::examine(update, &self.known) else {
            let _ = self.boxes.process_updates(UpdatesLike::ConnectionClosed);
            return;
        };
        // An error is a gap, and the difference that fills it is asked for next.
        let before = self.boxes.session_state().pts;
        if let Ok((updates, users, chats)) = self.boxes.process_updates(update) {
            if self.boxes.session_state().pts > before {
                self.hearing.pushed();
            }
            self.absorb(Found { messages: messages_of(updates), seen: Seen::new(users, chats) });
        }
    }

    /// Turns what was found into a batch with the state that the boxes have by now.
    fn absorb(&mut self, found: Found) {
        let (messages, peers) = self.accepted(found.messages.into_iter(), &found.seen);
        if !messages.is_empty() || !peers.is_empty() {
            self.hand_out(messages, peers);
        } else if self.flush_at.is_none() && session_state(&self.boxes) != self.state {
            self.flush_at = Some(Instant::now() + self.calls.0.network.timings.idle_state);
        }
    }

    fn hand_out(&mut self, messages: Vec<Incoming>, peers: Vec<Peer>) {
        self.flush_at = None;
        let state = self.moved();
        self.ready = Some(Batch { messages, peers, state, owner: None });
    }

    /// The accepted messages in order, by chat and id, and those of their peers who are new.
    fn accepted(&mut self, messages: impl Iterator<Item = enums::Message>, seen: &Seen) -> (Vec<Incoming>, Vec<Peer>) {
        let self_chat = self.known.self_chat();
        let mut accepted = Vec::new();
        for message in messages {
            let Some(chat) = super::messages::message_chat(&message) else { continue };
            self.heights.saw(chat, message.id());
            if self.known.takes(chat, seen) {
                accepted.extend(incoming(message, self_chat));
            }
        }
        accepted.sort_by_key(|message: &Incoming| (message.chat, message.id));
        accepted.dedup_by_key(|message| (message.chat, message.id));
        let mut peers = Vec::new();
        for chat in accepted.iter().flat_map(|message| [message.chat, message.sender]) {
            if chat != self_chat
                && let Some(peer) = seen.peer(chat)
                && self.known.learn(&peer)
            {
                peers.push(peer);
            }
        }
        (accepted, peers)
    }

    /// Hands out a state that moved without messages.
    fn flush(&mut self) {
        self.flush_at = None;
        if let Some(state) = self.moved() {
            self.ready = Some(Batch { state: Some(state), ..Batch::default() });
        }
    }

    /// The state, where it is another than the last one.
    fn moved(&mut self) -> Option<UpdateState> {
        let state = session_state(&self.boxes);
        (state != self.state).then(|| {
            self.state = state.clone();
            state
        })
    }

    /// Waits until it makes sense to try again.
    async fn wait_out(&mut self, stop: Stop) -> Result<(), IntakeError> {
        let mut status = self.calls.0.status();
        let pause = match stop {
            Stop::Call(CallError::Rpc(error)) => {
                tracing::warn!(%error, "a difference was refused");
                self.calls.0.refused(&error).unwrap_or_else(|| self.pauses.next())
            }
            Stop::Call(CallError::Lost(_) | CallError::NotConnected) => self.pauses.next(),
            Stop::Gone => Duration::ZERO,
        };
        let ended = |status: &LinkStatus| match *status {
            LinkStatus::Ended(problem) => Some(IntakeError::Ended(problem)),
            LinkStatus::Closed => Some(IntakeError::Closed),
            LinkStatus::Connecting | LinkStatus::Up => None,
        };
        if let Some(problem) = self.calls.0.problem() {
            return Err(IntakeError::Ended(problem));
        }
        // A connection that comes up meanwhile ends nothing: the pause is short, and protects Telegram from us.
        tokio::select! {
            () = sleep(pause) => {}
            found = status.wait_for(|status| ended(status).is_some()) => {
                return Err(found.ok().and_then(|status| ended(&status)).unwrap_or(IntakeError::Closed));
            }
        }
        if *status.borrow() == LinkStatus::Connecting {
            let found = status.wait_for(|status| *status != LinkStatus::Connecting).await;
            if let Some(error) = found.map_or(Some(IntakeError::Closed), |status| ended(&status)) {
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Why a step did not succeed.
enum Stop {
    Call(CallError),
    /// The supervisor is gone.
    Gone,
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

fn messages_of<T>(updates: impl IntoIterator<Item = (enums::Update, T)>) -> Vec<enums::Message> {
    let messages = updates.into_iter().filter_map(|(update, _)| match update {
        enums::Update::NewMessage(update) => Some(update.message),
        enums::Update::NewChannelMessage(update) => Some(update.message),
        _ => None,
    });
    messages.collect()
}

fn load(state: &UpdateState) -> MessageBoxes {
    if state.pts == 0 {
        return MessageBoxes::new();
    }
    let channels = state.channels.iter().map(|&(id, pts)| ChannelState { id, pts }).collect();
    MessageBoxes::load(UpdatesState { pts: state.pts, qts: state.qts, date: state.date, seq: state.seq, channels })
}

fn session_state(boxes: &MessageBoxes) -> UpdateState {
    let state = boxes.session_state();
    let channels = state.channels.into_iter().map(|channel| (channel.id, channel.pts)).collect();
    UpdateState { pts: state.pts, qts: state.qts, date: state.date, seq: state.seq, channels }
}

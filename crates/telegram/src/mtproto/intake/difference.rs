//! What was missed: the difference since the last state, of the account and of each channel, and where Telegram has none any more.

use super::backfill::{self, Found, concerns_the_chat, unless_refused};
use super::known::Seen;
use super::{Intake, Stop, filter, messages_of};
use grammers_session::updates::{PrematureEndReason, UpdatesLike};
use grammers_tl_types::{enums, functions, types};
use tuberry_domain::ChatId;
use tuberry_domain::ports::CallError;
use tuberry_domain::reaction::RpcError;

/// Messages per `updates.getChannelDifference`.
const CHANNEL_LIMIT: i32 = 100;
/// Channels that may begin to be followed out of one difference.
const MAX_BEGUN: usize = 50;

impl Intake {
    pub(super) async fn difference(&mut self, request: functions::updates::GetDifference) -> Result<(), Stop> {
        let mut answer = self.calls.invoke(&request).await?;
        self.pauses.reset();
        let (mut found, mut begun) = (Found::default(), Vec::new());
        let mut too_long = false;
        match &mut answer {
            enums::updates::Difference::TooLong(_) => {
                tracing::warn!(pts = request.pts, "the difference is too long: catching up by message id");
                too_long = true;
                found = backfill::common(&self.calls, &self.known, self.heights.common_floor(self.state.date)).await?;
            }
            enums::updates::Difference::Difference(types::updates::Difference { other_updates, users, chats, .. })
            | enums::updates::Difference::Slice(types::updates::DifferenceSlice { other_updates, users, chats, .. }) => {
                let seen = Seen::new(std::mem::take(users), std::mem::take(chats));
                (begun, found) = self.unfollowed(other_updates, &seen).await?;
                filter::follow(other_updates, &self.known, &seen);
                (*users, *chats) = seen.into_parts();
            }
            enums::updates::Difference::Empty(_) => {}
        }
        let (updates, users, chats) = self.boxes.apply_difference(answer);
        for (channel, pts) in begun {
            self.boxes.try_set_channel_state(channel, pts);
        }
        if too_long {
            // What came since belongs to the state after the one that was too long ago.
            let _ = self.boxes.process_updates(UpdatesLike::ConnectionClosed);
        }
        found.messages.extend(messages_of(updates));
        found.seen.extend(users, chats);
        self.absorb(found);
        if self.boxes.get_difference().is_none() {
            self.calls.0.caught_up(self.boxes.session_state().pts);
        }
        Ok(())
    }

    /// Accepted channels that have news but no state yet, because nothing came out of them while we were connected: their state
    /// begins where they are now, and what is newer than what we have is taken out of their history.
    async fn unfollowed(&self, updates: &[enums::Update], seen: &Seen) -> Result<(Vec<(i64, i32)>, Found), Stop> {
        let (mut begun, mut found): (Vec<(i64, i32)>, _) = (Vec::new(), Found::default());
        for update in updates {
            let enums::Update::ChannelTooLong(types::UpdateChannelTooLong { channel_id, pts: Some(pts) }) = *update else {
                continue;
            };
            let chat = ChatId::channel(channel_id);
            let hash = seen.peer(chat).and_then(|peer| peer.access_hash).or_else(|| self.known.channel_hash(channel_id));
            let Some(hash) = hash.filter(|_| self.known.takes(chat, seen)) else { continue };
            if begun.len() < MAX_BEGUN && !self.follows(channel_id) && begun.iter().all(|(id, ..)| *id != channel_id) {
                let floor = self.heights.news_floor(channel_id);
                let read = backfill::channel(&self.calls, channel_id, hash, floor, &mut found).await;
                begun.extend(unless_refused(read)?.map(|()| (channel_id, pts)));
            }
        }
        Ok((begun, found))
    }

    fn follows(&self, channel: i64) -> bool {
        self.boxes.session_state().channels.iter().any(|state| state.id == channel)
    }

    pub(super) async fn channel_difference(&mut self, mut request: functions::updates::GetChannelDifference) -> Result<(), Stop> {
        let enums::InputChannel::Channel(types::InputChannel { channel_id, .. }) = request.channel else {
            self.boxes.end_channel_difference(PrematureEndReason::Banned);
            return Ok(());
        };
        let followed = self.known.takes(ChatId::channel(channel_id), &Seen::default());
        let Some(access_hash) = self.known.channel_hash(channel_id).filter(|_| followed) else {
            self.boxes.end_channel_difference(PrematureEndReason::Banned);
            return Ok(());
        };
        request.channel = types::InputChannel { channel_id, access_hash }.into();
        request.limit = CHANNEL_LIMIT;
        let answer = match self.calls.invoke(&request).await {
            Ok(answer) => answer,
            Err(CallError::Rpc(error)) => return self.channel_refused(error),
            Err(error) => return Err(error.into()),
        };
        self.pauses.reset();
        let mut found = Found::default();
        if let enums::updates::ChannelDifference::TooLong(part) = &answer {
            // grammers takes nothing but a plain dialog with a pts here.
            let enums::Dialog::Dialog(types::Dialog { pts: Some(_), .. }) = &part.dialog else {
                self.boxes.end_channel_difference(PrematureEndReason::TemporaryServerIssues);
                return Ok(());
            };
            let floor = self.heights.channel_floor(channel_id);
            match backfill::channel(&self.calls, channel_id, access_hash, floor, &mut found).await {
                Err(CallError::Rpc(error)) => return self.channel_refused(error),
                done => done?,
            }
        }
        let (updates, users, chats) = self.boxes.apply_channel_difference(answer);
        found.messages.extend(messages_of(updates));
        found.seen.extend(users, chats);
        self.absorb(found);
        Ok(())
    }

    /// One channel's trouble does not hold the other chats up: it is asked again later, from where it was.
    fn channel_refused(&mut self, error: RpcError) -> Result<(), Stop> {
        let reason = match error.name.as_str() {
            "CHANNEL_PRIVATE" | "CHANNEL_INVALID" => PrematureEndReason::Banned,
            "PERSISTENT_TIMESTAMP_OUTDATED" => PrematureEndReason::TemporaryServerIssues,
            _ if concerns_the_chat(&error) || error.code == 500 || error.flood_wait().is_some() => {
                PrematureEndReason::TemporaryServerIssues
            }
            _ => return Err(CallError::Rpc(error).into()),
        };
        tracing::warn!(%error, ?reason, "a channel's difference was refused");
        self.boxes.end_channel_difference(reason);
        Ok(())
    }
}

//! Peers in Telethon's marked form: user `123`, basic group `-123`, channel `-100123` (that is −10¹² − id).

/// Who or where: one number space per variant, all positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// A person or a bot.
    User(i64),
    /// A basic group.
    Group(i64),
    /// A channel, supergroup or forum.
    Channel(i64),
}

const CHANNEL_MARK: i64 = 1_000_000_000_000;

impl Peer {
    /// Reads the marked form; zero and numbers outside of Telegram's ranges are no peers.
    pub fn from_marked(id: i64) -> Option<Self> {
        match id {
            1..CHANNEL_MARK => Some(Self::User(id)),
            i64::MIN..=0 if id < -CHANNEL_MARK && id > -4 * CHANNEL_MARK => Some(Self::Channel(-id - CHANNEL_MARK)),
            i64::MIN..=0 if id < 0 && id > -CHANNEL_MARK => Some(Self::Group(-id)),
            _ => None,
        }
    }

    /// The marked form.
    pub fn marked(self) -> i64 {
        match self {
            Self::User(id) => id,
            Self::Group(id) => -id,
            Self::Channel(id) => -CHANNEL_MARK - id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Peer;

    #[test]
    fn marked_ids_keep_users_groups_and_channels_apart() {
        for (peer, marked) in [(Peer::User(5), 5), (Peer::Group(5), -5), (Peer::Channel(5), -1_000_000_000_005)] {
            assert_eq!(peer.marked(), marked);
            assert_eq!(Peer::from_marked(marked), Some(peer));
        }
        for none in [0, i64::MIN, i64::MAX, -1_000_000_000_000] {
            assert_eq!(Peer::from_marked(none), None);
        }
    }
}

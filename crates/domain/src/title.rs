//! The title of a dialog's topic: a mark that shows whether the customer waits, and the sender's name.

/// The longest topic name, in characters (Bot API `createForumTopic`).
pub const TITLE_LIMIT: usize = 128;

/// Who has the word in a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// 🔴 the customer waits for an answer.
    Waiting,
    /// 🟢 the last word is ours.
    Answered,
}

/// `🔴 Имя`, within Telegram's limit.
pub fn title(mark: Mark, name: &str) -> String {
    let mark = match mark {
        Mark::Waiting => "🔴",
        Mark::Answered => "🟢",
    };
    let name: String = name.split_whitespace().collect::<Vec<_>>().join(" ");
    let name = if name.is_empty() { "Без имени" } else { &name };
    format!("{mark} {name}").chars().take(TITLE_LIMIT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_marked_trimmed_and_bounded() {
        assert_eq!(title(Mark::Waiting, "  Анна\nПетрова "), "🔴 Анна Петрова");
        assert_eq!(title(Mark::Answered, ""), "🟢 Без имени");
        assert_eq!(title(Mark::Answered, &"я".repeat(300)).chars().count(), TITLE_LIMIT);
    }
}

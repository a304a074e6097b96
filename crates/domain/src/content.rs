//! What a message is when it is more than text: the line that stands for it in the topic until media itself is carried over.

use crate::text::FormattedText;
use serde::{Deserialize, Serialize};

/// What a message carries besides its text. Durations in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Attachment {
    Photo,
    Video { duration: u32 },
    VideoNote { duration: u32 },
    Voice { duration: u32 },
    Audio { title: Option<String>, duration: u32 },
    Animation,
    Sticker { emoji: Option<String> },
    Document { name: Option<String> },
    Contact { name: String },
    Location,
    Poll { question: String },
    Dice { emoji: String },
    Call { duration: u32 },
    Story,
    Invoice,
    Unsupported,
}

impl Attachment {
    /// The line shown in its place, in Russian: «📷 Фото», «🎤 Голосовое сообщение 0:07».
    pub fn label(&self) -> String {
        let named = |label: &str, name: Option<&str>| match name.map(str::trim).filter(|name| !name.is_empty()) {
            Some(name) => format!("{label} {name}"),
            None => label.to_owned(),
        };
        match self {
            Self::Photo => "📷 Фото".into(),
            Self::Video { duration } => format!("🎬 Видео {}", clock(*duration)),
            Self::VideoNote { duration } => format!("📹 Видеосообщение {}", clock(*duration)),
            Self::Voice { duration } => format!("🎤 Голосовое сообщение {}", clock(*duration)),
            Self::Audio { title, duration } => format!("{} {}", named("🎵 Аудио", title.as_deref()), clock(*duration)),
            Self::Animation => "🎞 GIF".into(),
            Self::Sticker { emoji } => named("🩷 Стикер", emoji.as_deref()),
            Self::Document { name } => named("📎 Файл", name.as_deref()),
            Self::Contact { name } => named("👤 Контакт", Some(name)),
            Self::Location => "📍 Местоположение".into(),
            Self::Poll { question } => named("📊 Опрос:", Some(question)),
            Self::Dice { emoji } => named("🎲 Бросок", Some(emoji)),
            Self::Call { duration } => format!("📞 Звонок {}", clock(*duration)),
            Self::Story => "📖 История".into(),
            Self::Invoice => "🧾 Счёт".into(),
            Self::Unsupported => "❔ Сообщение, которое пока нельзя показать".into(),
        }
    }
}

/// Text or caption as shown in the topic: the attachment's line first.
pub fn shown(text: &FormattedText, attachment: Option<&Attachment>) -> FormattedText {
    match attachment {
        None => text.clone(),
        Some(attachment) if text.is_blank() => FormattedText::plain(attachment.label()),
        Some(attachment) => text.clone().prefixed(&format!("{}\n", attachment.label())),
    }
}

fn clock(seconds: u32) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attachment_is_shown_with_its_caption() {
        let voice = Attachment::Voice { duration: 7 };
        assert_eq!(shown(&FormattedText::default(), Some(&voice)).text, "🎤 Голосовое сообщение 0:07");
        assert_eq!(shown(&FormattedText::plain("смотри"), Some(&Attachment::Photo)).text, "📷 Фото\nсмотри");
        assert_eq!(Attachment::Document { name: Some("счёт.pdf".into()) }.label(), "📎 Файл счёт.pdf");
    }
}

//! What the service says of accounts, messages and jobs is stored in Russian (`last_error`, `error`). In English the portal shows these sentences
//! translated; whatever it does not know stays as it is.

use super::texts::Language;

/// Russian and English; `{}` stands for what differs.
const SENTENCES: &[(&str, &str)] = &[
    // Accounts that somebody has to connect again.
    ("Сеанс завершён в Telegram: войдите снова по QR-коду", "The session was ended in Telegram: sign in again by QR code"),
    (
        "Telegram закрыл сеанс, потому что он использовался дважды: войдите снова по QR-коду",
        "Telegram closed the session because it was used twice: sign in again by QR code",
    ),
    ("Telegram заблокировал или удалил этот аккаунт", "Telegram has blocked or deleted this account"),
    (
        "Сеанс принадлежит другому пользователю Telegram: войдите снова по QR-коду",
        "The session is another Telegram user’s: sign in again by QR code",
    ),
    ("Сохранённый сеанс не читается: войдите снова по QR-коду", "The stored session cannot be read: sign in again by QR code"),
    // Accounts with trouble that passes.
    ("Telegram просит подождать: аккаунт продолжит работу {}", "Telegram asks for patience: the account goes on at {}"),
    ("Telegram просит подождать: ответы уйдут {}", "Telegram asks for patience: answers leave at {}"),
    (
        "Telegram заморозил этот аккаунт: он только принимает сообщения; подайте апелляцию в приложении",
        "Telegram has frozen this account: it only receives messages; appeal in the app",
    ),
    (
        "Telegram ограничил этому аккаунту новые переписки: проверьте его у @SpamBot",
        "Telegram does not let this account write to new people: check it with @SpamBot",
    ),
    (
        "Telegram не принимает настройки приложения (API ID): обратитесь к администратору",
        "Telegram refuses the application’s settings (API ID): ask the administrator",
    ),
    ("Нет связи с Telegram: повторяем попытки", "Telegram cannot be reached: we go on trying"),
    ("Прокси недоступен: проверьте адрес", "The proxy cannot be reached: check its address"),
    ("Прокси не принимает логин и пароль: проверьте их", "The proxy refuses login and password: check them"),
    ("Настройки прокси не читаются: задайте их заново", "The proxy’s settings cannot be read: set them again"),
    ("У проекта нет управляющего бота: сообщения ждут в Telegram", "The project has no managing bot: messages wait in Telegram"),
    ("Сообщения не удаётся сохранить: обратитесь к администратору", "Messages cannot be stored: ask the administrator"),
    (
        "Аккаунту не хватило места на рабочих процессах: администратору нужно запустить ещё один или увеличить WORKER_MAX_ACCOUNTS",
        "No worker has room for the account: the administrator has to start another one, or to raise WORKER_MAX_ACCOUNTS",
    ),
    // Answers that did not arrive.
    ("аккаунт отключён от проекта", "the account was removed from the project"),
    ("аккаунт не работает", "the account is out of service"),
    ("Telegram заморозил этот аккаунт: он может только читать", "Telegram has frozen this account: it can only read"),
    ("клиент заблокировал этот аккаунт", "the customer has blocked this account"),
    ("этот аккаунт заблокировал клиента", "this account has blocked the customer"),
    ("аккаунт клиента удалён", "the customer’s account is deleted"),
    ("в этот чат нельзя писать", "nobody may write to this chat"),
    ("аккаунту запрещено писать в группы", "the account may not write to groups"),
    ("чат недоступен", "the chat is out of reach"),
    ("Telegram не знает этого собеседника", "Telegram does not know this person"),
    ("Telegram ограничил этому аккаунту новые переписки", "Telegram does not let this account write to new people"),
    ("сообщение пустое", "the message is empty"),
    ("пустое сообщение", "the message is empty"),
    ("сообщение слишком длинное", "the message is too long"),
    ("клиент принимает сообщения только от Premium", "the customer takes messages from Premium users only"),
    ("клиент принимает только платные сообщения", "the customer takes paid messages only"),
    ("Telegram отказал", "Telegram refused"),
    ("отправка отменена", "the sending was cancelled"),
    ("пока можно отправлять только текст, а это {}", "only text can be sent so far, and this is {}"),
    // Jobs.
    ("отменено вручную", "cancelled by hand"),
    ("отменено вручную: {}", "cancelled by hand: {}"),
];

impl Language {
    /// What the service said, in this language as far as it is known.
    pub(super) fn said(self, text: &str) -> String {
        match self {
            Self::Russian => text.to_owned(),
            Self::English => english(text).unwrap_or_else(|| text.to_owned()),
        }
    }
}

fn english(text: &str) -> Option<String> {
    SENTENCES.iter().find_map(|(russian, english)| match russian.split_once("{}") {
        None => (*russian == text).then(|| (*english).to_owned()),
        Some((before, after)) => Some(english.replacen("{}", text.strip_prefix(before)?.strip_suffix(after)?, 1)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use tuberry_domain::account::{AccountProblem, AccountTrouble};
    use tuberry_domain::reaction::{Reaction, RpcError};

    #[test]
    fn all_that_accounts_say_is_known() {
        use AccountProblem::{Deactivated, Duplicated, SignedOut, Stranger, Unreadable};
        use AccountTrouble::*;
        let now = DateTime::UNIX_EPOCH;
        let problems = [SignedOut, Duplicated, Deactivated, Stranger, Unreadable].map(|problem| problem.text().to_owned());
        let troubles = [
            ReceivingWaits(now),
            SendingWaits(now),
            Frozen,
            NewChatsRefused,
            Application,
            Unreachable,
            ProxyUnavailable,
            ProxyRefused,
            ProxyUnreadable,
        ];
        for text in problems.into_iter().chain(troubles.map(AccountTrouble::text)) {
            assert!(english(&text).is_some_and(|text| text.is_ascii() || text.contains('’')), "{text}");
            assert_eq!(Language::Russian.said(&text), text);
        }
    }

    #[test]
    fn all_refusals_of_answers_are_known() {
        for name in [
            "USER_IS_BLOCKED",
            "YOU_BLOCKED_USER",
            "USER_DEACTIVATED_PEER",
            "CHAT_WRITE_FORBIDDEN",
            "USER_BANNED_IN_CHANNEL",
            "CHANNEL_PRIVATE",
            "PEER_ID_INVALID",
            "PEER_FLOOD",
            "FROZEN_METHOD_INVALID",
            "MESSAGE_EMPTY",
            "MESSAGE_TOO_LONG",
            "PRIVACY_PREMIUM_REQUIRED",
            "ALLOW_PAYMENT_REQUIRED",
            "WHATEVER",
        ] {
            let error = RpcError { code: 400, name: name.to_owned(), value: None };
            let Reaction::Refuse(text) = error.reaction() else { panic!("{name} is no refusal") };
            assert!(english(text).is_some(), "{text}");
        }
    }

    #[test]
    fn what_differs_stays_and_what_is_unknown_too() {
        assert_eq!(Language::English.said("отменено вручную: не нужно"), "cancelled by hand: не нужно");
        assert_eq!(Language::English.said("the answer was lost"), "the answer was lost");
    }
}

//! What an account receives, with everything that can go wrong on the way.

use crate::account::{Account, PATIENCE};
use crate::stage::{Stage, quick};
use serde_json::json;
use std::time::Duration;
use telegram_simulator::Options;
use tuberry_domain::account::Accepts;
use tuberry_domain::content::Attachment;
use tuberry_domain::intake::Batch;
use tuberry_domain::text::{Entity, EntityKind};
use tuberry_domain::{ChatId, TelegramMessageId};
use tuberry_telegram::Timings;

async fn two_people(stage: &Stage) -> (i64, i64) {
    (stage.user(json!({})).await, stage.user(json!({"first_name": "Борис", "last_name": "Иванов", "username": "boris"})).await)
}

async fn supergroup(stage: &Stage, title: &str, members: &[i64]) -> i64 {
    let chat = stage.post("chats", json!({"title": title, "kind": "supergroup", "members": members})).await;
    chat["chat_id"].as_i64().unwrap()
}

/// The next batch that holds messages; what comes before it is committed.
async fn with_messages(account: &mut Account) -> Batch {
    loop {
        let batch = tokio::time::timeout(PATIENCE, account.intake.next_batch()).await.expect("messages come").unwrap();
        if !batch.messages.is_empty() {
            return batch;
        }
        account.rows.commit(batch);
        account.intake.committed();
    }
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("m{n}")).collect()
}

#[tokio::test]
async fn a_live_message_brings_its_writer() {
    let stage = Stage::new().await;
    let (anna, boris) = two_people(&stage).await;
    let mut account = Account::new(&stage, anna).await;
    stage.say(boris, anna, "привет").await;
    account.until(1).await;
    let message = &account.rows.messages[0];
    assert_eq!((message.chat, message.sender, message.out), (ChatId(boris), ChatId(boris), false));
    let peer = &account.rows.peers[&ChatId(boris)];
    assert_eq!((peer.name.as_str(), peer.username.as_deref()), ("Борис Иванов", Some("boris")));
    assert!(peer.access_hash.is_some() && !peer.bot && !peer.broadcast);
}

#[tokio::test]
async fn text_formatting_and_the_answered_message_come_through() {
    let stage = Stage::new().await;
    let (anna, boris) = two_people(&stage).await;
    let mut account = Account::new(&stage, anna).await;
    let first = stage.say(boris, anna, "раз").await;
    let entities = json!([
        {"type": "bold", "offset": 0, "length": 2}, {"type": "text_link", "offset": 3, "length": 4, "url": "https://a.b/"},
        {"type": "pre", "offset": 8, "length": 3, "language": "rust"}, {"type": "spoiler", "offset": 8, "length": 1}]);
    let text = "😀 <&> שלום";
    let body = json!({"from": boris, "to": anna, "text": text, "entities": entities, "reply_to": first});
    stage.post("messages", body).await;
    account.until(2).await;
    let message = &account.rows.messages[1];
    assert_eq!((message.text.text.as_str(), message.reply_to.map(|id| i64::from(id.0))), (text, Some(first)));
    let link = EntityKind::TextLink { url: "https://a.b/".into() };
    let pre = EntityKind::Pre { language: Some("rust".into()) };
    for entity in [
        Entity { kind: EntityKind::Bold, offset: 0, length: 2 },
        Entity { kind: link, offset: 3, length: 4 },
        Entity { kind: pre, offset: 8, length: 3 },
        Entity { kind: EntityKind::Spoiler, offset: 8, length: 1 },
    ] {
        assert!(message.text.entities.contains(&entity), "{entity:?} in {:?}", message.text.entities);
    }
}

#[tokio::test]
async fn media_is_named_and_keeps_its_caption() {
    let stage = Stage::new().await;
    let (anna, boris) = two_people(&stage).await;
    let mut account = Account::new(&stage, anna).await;
    let sent = [
        (json!({"kind": "photo"}), Attachment::Photo),
        (json!({"kind": "voice", "duration": 7}), Attachment::Voice { duration: 7 }),
        (json!({"kind": "document", "name": "счёт.pdf"}), Attachment::Document { name: Some("счёт.pdf".into()) }),
        (json!({"kind": "video", "duration": 61}), Attachment::Video { duration: 61 }),
        (json!({"kind": "animation"}), Attachment::Animation),
        (json!({"kind": "location"}), Attachment::Location),
        (json!({"kind": "unsupported"}), Attachment::Unsupported),
    ];
    for (media, _) in &sent {
        stage.post("messages", json!({"from": boris, "to": anna, "text": "подпись", "media": media})).await;
    }
    account.until(sent.len()).await;
    for (message, (_, attachment)) in account.rows.messages.iter().zip(&sent) {
        assert_eq!((message.attachment.as_ref(), message.text.text.as_str()), (Some(attachment), "подпись"));
    }
}

#[tokio::test]
async fn what_was_missed_comes_in_order_and_once() {
    let stage = Stage::new().await;
    let (anna, boris) = two_people(&stage).await;
    let mut account = Account::new(&stage, anna).await;
    stage.say(boris, anna, "m0").await;
    account.until(1).await;
    account.close().await;
    for text in numbered(1..251) {
        stage.say(boris, anna, &text).await;
    }
    let mut account = account.reopen(&stage).await;
    account.until(251).await;
    account.settle().await;
    assert_eq!(account.rows.texts(), numbered(0..251));
    assert_eq!((account.rows.repeats, stage.stat("keys_killed").await), (0, 0));
}

#[tokio::test]
async fn an_update_lost_on_the_way_is_fetched() {
    let stage = Stage::new().await;
    let (anna, boris) = two_people(&stage).await;
    let mut account = Account::new(&stage, anna).await;
    stage.say(boris, anna, "m0").await;
    account.until(1).await;
    stage.fault(json!({"kind": "lose_updates", "user": anna, "times": 3})).await;
    for text in numbered(1..5) {
        stage.say(boris, anna, &text).await;
    }
    account.until(5).await;
    assert_eq!(account.rows.texts(), numbered(0..5));
}

#[tokio::test]
async fn more_updates_than_there_is_room_for_lose_nothing() {
    let stage = Stage::new().await;
    let (anna, boris) = two_people(&stage).await;
    let mut account = Account::new(&stage, anna).await;
    account.settle().await;
    // Nobody takes anything meanwhile: grammers keeps 100 updates and drops the others.
    for text in numbered(0..400) {
        stage.say(boris, anna, &text).await;
    }
    account.until(400).await;
    account.settle().await;
    assert_eq!(account.rows.texts(), numbered(0..400));
}

#[tokio::test]
async fn a_batch_that_was_not_committed_comes_again() {
    let stage = Stage::new().await;
    let (anna, boris) = two_people(&stage).await;
    let mut account = Account::new(&stage, anna).await;
    for round in 0..10 {
        stage.say(boris, anna, &format!("m{round}")).await;
        let batch = with_messages(&mut account).await;
        if round % 2 == 0 {
            account.intake.reload(account.rows.state.clone());
            account.until(round + 1).await;
        } else {
            account.rows.commit(batch);
            account.intake.committed();
        }
    }
    account.settle().await;
    assert_eq!((account.rows.texts(), account.rows.repeats), (numbered(0..10).iter().map(String::as_str).collect(), 0));
    assert!(account.rows.peers[&ChatId(boris)].access_hash.is_some());
}

#[tokio::test]
async fn killed_at_any_moment_nothing_is_missing_doubled_or_out_of_order() {
    let stage = Stage::new().await;
    let (anna, boris) = two_people(&stage).await;
    let mut account = Account::new(&stage, anna).await;
    let mut sent = 0;
    for round in 0..40_u64 {
        for _ in 0..=round % 5 {
            stage.say(boris, anna, &format!("m{sent}")).await;
            sent += 1;
        }
        match round % 4 {
            0 => stage.fault(json!({"kind": "drop_connections", "user": anna})).await,
            1 => stage.fault(json!({"kind": "lose_updates", "user": anna, "times": 1})).await,
            _ => {}
        }
        // The future is dropped somewhere, and what it held with it; every third round so is the whole link.
        let moment = Duration::from_millis(round * 7 % 40);
        while let Ok(batch) = tokio::time::timeout(moment, account.intake.next_batch()).await {
            account.rows.commit(batch.unwrap());
            account.intake.committed();
        }
        if round % 3 == 0 {
            account = account.reopen(&stage).await;
        }
    }
    account.until(sent).await;
    account.settle().await;
    assert_eq!(account.rows.texts(), numbered(0..sent));
    assert_eq!(stage.stat("keys_killed").await, 0);
    assert!(stage.stat("max_connections_per_key").await <= 1);
}

#[tokio::test]
async fn a_difference_that_is_too_long_is_caught_up_by_message_id() {
    let stage = Stage::new().await;
    let (anna, boris) = two_people(&stage).await;
    let carol = stage.user(json!({"first_name": "Вера"})).await;
    let group = stage.post("chats", json!({"title": "Группа", "kind": "group", "members": [anna, boris]})).await;
    let group = group["chat_id"].as_i64().unwrap();
    let mut account = Account::new(&stage, anna).await;
    stage.say(boris, anna, "старое").await;
    account.until(1).await;
    account.close().await;
    for n in 0..130 {
        stage.say(boris, anna, &format!("b{n}")).await;
    }
    stage.say(carol, anna, "впервые").await;
    stage.say(boris, group, "в группе").await;
    stage.fault(json!({"kind": "difference_too_long", "user": anna})).await;
    let mut account = account.reopen(&stage).await;
    account.until(133).await;
    account.settle().await;
    let of = |chat: i64| -> Vec<_> {
        account.rows.messages.iter().filter(|m| m.chat == ChatId(chat)).map(|m| m.text.text.clone()).collect()
    };
    let mut expected = vec!["старое".to_owned()];
    expected.extend((0..130).map(|n| format!("b{n}")));
    assert_eq!(of(boris), expected);
    assert_eq!((of(carol), of(group)), (vec!["впервые".to_owned()], vec!["в группе".to_owned()]));
    assert!(account.rows.peers[&ChatId(carol)].access_hash.is_some());
}

#[tokio::test]
async fn what_one_answer_brought_is_stored_with_its_state_or_not_at_all() {
    let stage = Stage::new().await;
    let (anna, boris) = two_people(&stage).await;
    let chat = supergroup(&stage, "S", &[boris, anna]).await;
    let mut account = Account::new(&stage, anna).await;
    account.settle().await;
    account.close().await;
    stage.say(boris, anna, "лично").await;
    stage.say(boris, chat, "в группе").await;
    let mut account = account.reopen(&stage).await;
    // Killed after the first commit.
    let first = account.intake.next_batch().await.unwrap();
    account.rows.commit(first);
    account = account.reopen(&stage).await;
    account.until(2).await;
    account.settle().await;
    let mut texts = account.rows.texts();
    texts.sort_unstable();
    assert_eq!(texts, ["в группе", "лично"]);
}

#[tokio::test]
async fn a_difference_too_long_that_was_not_committed_or_cut_short_by_a_kill_loses_nothing() {
    let stage = Stage::new().await;
    let (anna, boris) = two_people(&stage).await;
    let carol = stage.user(json!({"first_name": "Вера"})).await;
    let mut account = Account::new(&stage, anna).await;
    stage.say(boris, anna, "m0").await;
    account.until(1).await;
    account.close().await;
    for n in 1..601 {
        stage.say(if n % 2 == 0 { boris } else { carol }, anna, &format!("m{n}")).await;
    }
    let too_long = json!({"kind": "difference_too_long", "user": anna});
    stage.fault(too_long.clone()).await;
    let mut account = account.reopen(&stage).await;
    assert!(!with_messages(&mut account).await.messages.is_empty());
    // The commit failed, and Telegram still says so.
    stage.fault(too_long.clone()).await;
    account.intake.reload(account.rows.state.clone());
    let second = with_messages(&mut account).await;
    account.rows.commit(second);
    stage.fault(too_long).await;
    let mut account = account.reopen(&stage).await;
    account.until(601).await;
    account.settle().await;
    for chat in [boris, carol] {
        let of: Vec<i32> = account.rows.messages.iter().filter(|m| m.chat == ChatId(chat)).map(|m| m.id.0).collect();
        assert!(of.len() >= 300 && of.is_sorted(), "{} of {chat}", of.len());
    }
}

#[tokio::test]
async fn a_channel_too_long_after_news_elsewhere_is_caught_up_from_what_is_stored() {
    let stage = Stage::new().await;
    let (anna, boris) = two_people(&stage).await;
    let chat = supergroup(&stage, "S", &[boris, anna]).await;
    let mut account = Account::new(&stage, anna).await;
    stage.say(boris, chat, "m0").await;
    account.until(1).await;
    account.close().await;
    stage.say(boris, chat, "m1").await;
    // Longer than what dates may differ by: the state's date must not stand for the channel's.
    tokio::time::sleep(Duration::from_secs(4)).await;
    stage.say(boris, anna, "m2").await;
    stage.fault(json!({"kind": "channel_too_long", "chat_id": chat})).await;
    let mut account = account.reopen(&stage).await;
    account.until(3).await;
    account.settle().await;
    let mut texts = account.rows.texts();
    texts.sort_unstable();
    assert_eq!(texts, numbered(0..3));
}

#[tokio::test]
async fn a_channel_that_telegram_refuses_does_not_hold_the_others_up() {
    let stage = Stage::new().await;
    let (anna, boris) = two_people(&stage).await;
    let (followed, silent) = (supergroup(&stage, "A", &[boris, anna]).await, supergroup(&stage, "B", &[boris, anna]).await);
    let mut account = Account::new(&stage, anna).await;
    stage.say(boris, followed, "m0").await;
    account.until(1).await;
    account.close().await;
    for (method, error) in
        [("updates.getChannelDifference", "CHANNEL_PUBLIC_GROUP_NA"), ("messages.getHistory", "CHANNEL_PRIVATE")]
    {
        let refused = json!({"kind": "rpc_error", "user": anna, "method": method, "code": 403, "message": error, "times": 1000});
        stage.fault(refused).await;
    }
    for chat in [followed, silent, anna] {
        stage.say(boris, chat, "m1").await;
    }
    let mut account = account.reopen(&stage).await;
    account.until(2).await;
    stage.say(boris, anna, "m2").await;
    account.until(3).await;
    assert_eq!(account.rows.texts(), numbered(0..3));
}

#[tokio::test]
async fn supergroups_and_channels_are_followed_and_caught_up() {
    let stage = Stage::new().await;
    let (anna, boris) = two_people(&stage).await;
    let mut chats = Vec::new();
    for kind in ["supergroup", "channel"] {
        let chat = stage.post("chats", json!({"title": kind, "kind": kind, "members": [boris, anna]})).await;
        chats.push(chat["chat_id"].as_i64().unwrap());
    }
    let mut account = Account::new(&stage, anna).await;
    for &chat in &chats {
        stage.say(boris, chat, "m0").await;
    }
    account.until(2).await;
    assert_eq!(account.rows.state.channels.len(), 2);
    assert!(account.rows.peers[&ChatId(chats[1])].broadcast && !account.rows.peers[&ChatId(chats[0])].broadcast);

    account.close().await;
    for text in numbered(1..151) {
        stage.say(boris, chats[0], &text).await;
    }
    stage.say(boris, chats[1], "m1").await;
    let mut account = account.reopen(&stage).await;
    account.until(153).await;

    account.close().await;
    for text in numbered(151..301) {
        stage.say(boris, chats[0], &text).await;
    }
    stage.fault(json!({"kind": "channel_too_long", "chat_id": chats[0]})).await;
    let mut account = account.reopen(&stage).await;
    account.until(303).await;
    account.settle().await;
    let group: Vec<_> = account.rows.messages.iter().filter(|m| m.chat == ChatId(chats[0])).map(|m| &m.text.text).collect();
    assert_eq!(group, numbered(0..301).iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_supergroup_that_first_speaks_while_nobody_listens_is_heard() {
    let stage = Stage::new().await;
    let (anna, boris) = two_people(&stage).await;
    let chat = supergroup(&stage, "S", &[boris, anna]).await;
    let mut account = Account::new(&stage, anna).await;
    account.settle().await;
    account.close().await;
    stage.say(boris, chat, "есть кто?").await;
    let mut account = account.reopen(&stage).await;
    account.until(1).await;
    stage.say(boris, chat, "ау").await;
    account.until(2).await;
    assert_eq!(account.rows.texts(), ["есть кто?", "ау"]);
}

#[tokio::test]
async fn what_is_not_accepted_does_not_come_and_may_be_accepted_later() {
    let stage = Stage::new().await;
    let (anna, boris) = two_people(&stage).await;
    let mut chats = Vec::new();
    for kind in ["group", "supergroup", "channel"] {
        let chat = stage.post("chats", json!({"title": kind, "kind": kind, "members": [boris, anna]})).await;
        chats.push(chat["chat_id"].as_i64().unwrap());
    }
    let mut account = Account::new(&stage, anna).await;
    *account.accepts.lock().unwrap() = Accepts { private: true, groups: false, channels: false };
    for &chat in &chats {
        stage.say(boris, chat, "не нам").await;
    }
    stage.say(boris, anna, "нам").await;
    account.until(1).await;
    account.settle().await;
    assert_eq!(account.rows.texts(), ["нам"]);
    assert!(account.rows.state.channels.is_empty(), "{:?}", account.rows.state);
    *account.accepts.lock().unwrap() = Accepts { private: false, groups: true, channels: true };
    stage.say(boris, anna, "не нам").await;
    for &chat in &chats {
        stage.say(boris, chat, "нам").await;
    }
    account.until(4).await;
    account.settle().await;
    assert_eq!(account.rows.texts(), ["нам"; 4]);
}

#[tokio::test]
async fn an_idle_account_hands_out_its_moved_state() {
    let stage = Stage::with(Options::default(), Timings { idle_state: Duration::from_millis(50), ..quick() }).await;
    let (anna, boris) = two_people(&stage).await;
    let mut account = Account::new(&stage, anna).await;
    *account.accepts.lock().unwrap() = Accepts { private: false, groups: false, channels: false };
    account.settle().await;
    let before = account.rows.state.pts;
    stage.say(boris, anna, "никому").await;
    account.settle().await;
    assert!(account.rows.state.pts > before && account.rows.messages.is_empty());
}

#[tokio::test]
async fn own_messages_come_as_outgoing_with_the_id_that_sending_told() {
    let stage = Stage::new().await;
    let (anna, boris) = two_people(&stage).await;
    let mut account = Account::new(&stage, anna).await;
    stage.say(boris, anna, "вопрос").await;
    account.until(1).await;
    let sent = account.calls().send_text(&account.text_to(boris, 77, "ответ")).await.unwrap();
    account.until(2).await;
    stage.say(anna, boris, "с телефона").await;
    account.until(3).await;
    let own: Vec<_> = account.rows.messages[1..].iter().map(|m| (m.out, m.sender, m.chat)).collect();
    assert_eq!(own, [(true, ChatId(anna), ChatId(boris)); 2]);
    assert_eq!(sent.id, Some(account.rows.messages[1].id));
    assert_ne!(sent.id, Some(TelegramMessageId(0)));
}

//! Accounts that come from an old system: no update state, no access hashes, only the ids of the messages that it stored.

use crate::account::{Account, Rows};
use crate::stage::Stage;
use serde_json::json;
use std::collections::BTreeMap;
use tuberry_domain::account::Accepts;
use tuberry_domain::intake::UpdateState;
use tuberry_domain::{ChatId, TelegramMessageId};
use tuberry_telegram::{Floors, LinkStatus};

const ALL: Accepts = Accepts { private: true, groups: true, channels: true };

fn texts_of(account: &Account, chat: i64) -> Vec<&str> {
    account.rows.messages.iter().filter(|m| m.chat == ChatId(chat)).map(|m| m.text.text.as_str()).collect()
}

#[tokio::test]
async fn an_account_without_a_state_catches_up_from_what_is_stored_and_meets_its_people() {
    let stage = Stage::new().await;
    let [anna, boris, carol, dora] = ["Анна", "Борис", "Вера", "Дора"].map(|name| json!({ "first_name": name }));
    let (anna, boris) = (stage.user(anna).await, stage.user(boris).await);
    let (carol, dora) = (stage.user(carol).await, stage.user(dora).await);
    let group = stage.post("chats", json!({"title": "Группа", "kind": "supergroup", "members": [anna, boris]})).await;
    let group = group["chat_id"].as_i64().unwrap();
    let (session, me, _) = stage.log_in(anna).await;

    // Stored by the old system: one message of Boris, the last of Dora, one in the group. The rest it lost, or never saw.
    let of_boris = stage.say(boris, anna, "сохранено").await;
    let in_group = stage.say(boris, group, "сохранено").await;
    stage.say(boris, anna, "потеряно старой системой").await;
    let of_dora = stage.say(dora, anna, "последнее").await;
    for number in 0..130 {
        stage.say(boris, anna, &format!("b{number}")).await;
    }
    stage.say(carol, anna, "впервые").await;
    stage.say(boris, group, "в группе").await;
    let last = BTreeMap::from([(boris, of_boris), (dora, of_dora), (group, in_group)]);
    let last = last.into_iter().map(|(chat, id)| (ChatId(chat), TelegramMessageId(id.try_into().unwrap()))).collect();
    let floors = Floors { last, since: None };
    let strangers = vec![ChatId(boris), ChatId(dora), ChatId(group), ChatId(4242)];

    stage.fault(json!({"kind": "flood_wait", "user": anna, "method": "messages.getHistory", "seconds": 1, "times": 1})).await;
    let rows = Rows::new(session, me.id, UpdateState::default());
    let mut account = Account::begin(&stage, rows, ALL, None, floors, strangers);
    account.reaches(LinkStatus::Up).await;
    let who = account.intake.next_batch().await.unwrap();
    assert_eq!(who.owner.as_ref().map(|owner| owner.id), Some(me.id));
    account.intake.committed();
    // The first one is lost: nothing of it was stored, and all of it comes again.
    let lost = account.intake.next_batch().await.unwrap();
    assert!(lost.messages.len() == 133 && lost.state.is_some(), "one batch: {}", lost.messages.len());
    account.intake.reload(UpdateState::default());
    account.until(133).await;
    stage.say(boris, anna, "живое").await;
    account.until(134).await;
    account.settle().await;

    let mut expected = vec!["потеряно старой системой".to_owned()];
    expected.extend((0..130).map(|number| format!("b{number}")));
    expected.push("живое".into());
    assert_eq!(texts_of(&account, boris), expected);
    assert_eq!((texts_of(&account, carol), texts_of(&account, group)), (vec!["впервые"], vec!["в группе"]));
    assert!(texts_of(&account, dora).is_empty(), "nothing a second time");
    for known in [boris, dora, group] {
        assert!(account.rows.peers[&ChatId(known)].access_hash.is_some(), "{known}");
    }
    assert_eq!(account.rows.peers[&ChatId(4242)].access_hash, None, "nobody asks for this one again");
    assert_eq!(account.rows.repeats, 0);
    account.calls().send_text(&account.text_to(dora, 7, "ответ")).await.unwrap();
    assert_eq!(stage.chat(dora, anna).await.last().unwrap(), &(false, "ответ".to_owned()));

    stage.say(boris, group, "и дальше").await;
    let mut account = account.reopen(&stage).await;
    // Our own answer comes, too.
    account.until(136).await;
    assert_eq!(texts_of(&account, group), ["в группе", "и дальше"], "the group is followed");
}

#[tokio::test]
async fn an_account_with_a_state_meets_people_of_dialogs_that_it_did_not_make() {
    let stage = Stage::new().await;
    let (mut account, anna, boris) = Account::settled(&stage).await;
    stage.say(boris, anna, "раз").await;
    account.until(1).await;
    account.close().await;
    let mut rows = account.rows;
    rows.peers.clear();
    let me = Some(rows.self_id);
    let mut account = Account::begin(&stage, rows, ALL, me, Floors::default(), vec![ChatId(boris)]);
    stage.say(boris, anna, "два").await;
    account.until(2).await;
    account.settle().await;
    assert_eq!((account.rows.texts(), account.rows.repeats), (vec!["раз", "два"], 0));
    assert!(account.rows.peers[&ChatId(boris)].access_hash.is_some());
}

#[tokio::test]
async fn where_nothing_is_stored_the_last_connection_tells_what_was_missed() {
    for (before, expected) in [(Some(60), vec!["пропущено"]), (None, vec![])] {
        let stage = Stage::new().await;
        let (anna, boris) = (stage.user(json!({})).await, stage.user(json!({})).await);
        let (session, me, state) = stage.log_in(anna).await;
        stage.say(boris, anna, "пропущено").await;
        let since = before.map(|seconds| state.date - seconds);
        let rows = Rows::new(session, me.id, UpdateState::default());
        let mut account = Account::begin(&stage, rows, ALL, Some(me.id), Floors { since, ..Floors::default() }, vec![]);
        account.reaches(LinkStatus::Up).await;
        account.until(expected.len()).await;
        account.settle().await;
        assert_eq!(account.rows.texts(), expected);
        stage.say(boris, anna, "живое").await;
        account.until(expected.len() + 1).await;
    }
}

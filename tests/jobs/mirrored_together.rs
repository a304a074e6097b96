//! Messages that are on their way at the same time share statements; each is answered as if it had been alone.

use crate::support::{Database, database, wait_until};
use futures::future::join_all;
use sqlx::PgPool;
use std::time::Duration;
use tokio::time::timeout;
use tuberry_domain::{BotMessageId, ChatId, DialogId, MessageId, ThreadId};
use tuberry_storage::mirror::{self, Failure, Mirror};
use tuberry_storage::{Store, clients, projects, topics};

const SOON: Duration = Duration::from_secs(10);

/// `count` messages, each in a dialog of its own, by their ids.
async fn messages(store: &Store, count: i32) -> Vec<MessageId> {
    let mut tx = store.begin().await.unwrap();
    let client = clients::create(&mut tx, "Ромашка").await.unwrap();
    let project = projects::create(&mut tx, client, "Ромашка", None).await.unwrap();
    tx.commit().await.unwrap();
    let rows = sqlx::query_scalar::<_, i32>(
        "with bot as (insert into bots (created_at, client_id, token, status, group_chat_id, topic_mode) values (now(), $2, '1:t', 'active', '-1001', true) returning id),
           project as (select p.id, p.client_id, b.id as bot_id from projects p, bot b where p.id = $3),
           account as (
             insert into personal_telegram_accounts (created_at, client_id, project_id, display_name, telegram_user_id, status, accepts_private, accepts_groups, accepts_channels)
             select now(), client_id, id, 'Анна', '4711', 'active', true, false, false from project returning id),
           dialog as (
             insert into dialogs (created_at, client_id, project_id, source, personal_account_id, bot_id, avito_dialog_id, state, topic_intro_sent, external_display_name)
             select now(), p.client_id, p.id, 'personal_telegram', a.id, p.bot_id, 'ptg:' || n, 'active', false, 'Клиент ' || n
               from project p, account a, generate_series(1, $1) n returning id, personal_account_id),
           ours as (insert into personal_telegram_dialogs (dialog_id, account_id, chat_id) select id, personal_account_id, id from dialog),
           message as (
             insert into messages (created_at, dialog_id, direction, body, status, retries, is_auto_reply, is_client_message)
             select now(), id, 'personal_telegram_in', '', 'pending', 0, false, true from dialog returning id, dialog_id)
         insert into personal_telegram_messages (message_id, dialog_id, account_id, chat_id, incoming, telegram_id, sender_name, text)
         select m.id, m.dialog_id, d.personal_account_id, m.dialog_id, true, 1, 'Иван', 'текст ' || m.id from message m join dialog d on d.id = m.dialog_id
         returning message_id",
    );
    rows.bind(count)
        .bind(client.0)
        .bind(project.0)
        .fetch_all(store.pool())
        .await
        .expect("messages")
        .into_iter()
        .map(MessageId)
        .collect()
}

async fn start(count: i32) -> (Database, Mirror, Vec<MessageId>) {
    let database = database().await;
    let messages = messages(&database.store, count).await;
    let mirror = Mirror::start(database.store.pool());
    (database, mirror, messages)
}

async fn number(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn what_is_on_its_way_at_once_takes_few_transactions() {
    let (database, mirror, messages) = start(150).await;
    let pool = database.store.pool();

    let loaded = join_all(messages.iter().map(|&message| mirror.load(message))).await;
    let mut dialogs = Vec::new();
    for (message, loaded) in messages.iter().zip(loaded) {
        let loaded = loaded.unwrap().unwrap();
        assert_eq!(loaded.text.text, format!("текст {message}"), "each gets its own");
        dialogs.push(loaded.dialog);
    }
    let places = join_all(dialogs.iter().map(|&dialog| mirror.place(dialog))).await;
    for (dialog, place) in dialogs.iter().zip(places) {
        assert_eq!(place.unwrap().unwrap().dialog, *dialog);
    }
    assert!(mirror.load(MessageId(0)).await.unwrap().is_none());
    assert!(mirror.place(DialogId(0)).await.unwrap().is_none());

    let begun = join_all(messages.iter().map(|&message| mirror.part_sending(message, 0, 0))).await;
    assert!(begun.into_iter().all(|begun| begun.unwrap()));
    let transactions = "select count(distinct xmin::text) from personal_telegram_parts";
    let took = number(pool, transactions).await;
    assert!((2..10).contains(&took), "{took} transactions: a statement takes 100 calls at most");

    let sent = join_all(messages.iter().map(|&message| mirror.part_sent(message, 0, BotMessageId(message.0.into()), true))).await;
    assert!(sent.into_iter().all(|age| age.unwrap().is_some()));
    let took = number(pool, transactions).await;
    assert!((2..10).contains(&took), "{took} transactions");
    let delivered = "select count(*) from messages m join personal_telegram_parts p on p.message_id = m.id
                      where m.status = 'delivered' and p.state = 'sent' and p.sent_id = m.id and m.telegram_message_id = m.id::text";
    assert_eq!(number(pool, delivered).await, 150, "each has its own number");
}

#[tokio::test]
async fn one_that_is_refused_fails_alone() {
    let (_database, mirror, messages) = start(20).await;
    let unknown = MessageId(i32::MAX);
    let calls = messages[..10].iter().chain([&unknown]).chain(&messages[10..]);
    let begun = join_all(calls.clone().map(|&message| mirror.part_sending(message, 0, 0))).await;
    for (message, begun) in calls.zip(begun) {
        assert_eq!(begun.ok(), (*message != unknown).then_some(true), "{message}");
    }
}

#[tokio::test]
async fn of_two_runs_that_begin_the_same_call_one_may_go_on() {
    let (database, mirror, messages) = start(3).await;
    let [first, second, third] = messages[..] else { panic!("three messages") };
    let begin = |message, attempts| mirror.part_sending(message, 0, attempts);
    for attempts in 0..3 {
        let begun = tokio::join!(begin(first, attempts), begin(second, attempts), begin(first, attempts), begin(third, attempts));
        let (one, other) = (begun.0.unwrap(), begun.2.unwrap());
        assert!(one != other, "attempt {attempts}: {one}, {other}");
        assert!(begun.1.unwrap() && begun.3.unwrap());
    }
    assert!(!begin(first, 1).await.unwrap(), "that was another one's");
    mirror.part_sent(first, 0, BotMessageId(7), true).await.unwrap();
    assert!(!begin(first, 3).await.unwrap(), "it stands in the topic");
    mirror::part_failed(database.store.pool(), second, 0, 3, Failure::Refused).await.unwrap();
    assert!(begin(second, 3).await.unwrap(), "what was not executed is begun again");
    let part = mirror.load(second).await.unwrap().unwrap().parts[0].clone();
    assert_eq!((part.attempts, part.refusals, part.sent, part.begun), (4, 1, false, true));
    mirror::part_failed(database.store.pool(), second, 0, 4, Failure::Unknown).await.unwrap();
    let part = mirror.load(second).await.unwrap().unwrap().parts[0].clone();
    assert_eq!((part.attempts, part.refusals, part.sent, part.begun), (4, 1, false, false), "nobody will say more of it");
}

#[tokio::test]
async fn the_last_part_counts_whoever_tells_of_it_meanwhile() {
    let (database, mirror, messages) = start(1).await;
    for part in 0..2 {
        assert!(mirror.part_sending(messages[0], part, 0).await.unwrap());
    }
    let sent = |part, id, last| mirror.part_sent(messages[0], part, BotMessageId(id), last);
    let (last, first) = tokio::join!(sent(1, 12, true), sent(0, 11, false));
    assert!(last.unwrap().is_some() && first.unwrap().is_none());
    let stored: (String, String) = sqlx::query_as(
        "select m.status::text, string_agg(p.sent_id::text, ',' order by p.part) from messages m join personal_telegram_parts p on p.message_id = m.id group by m.id",
    )
    .fetch_one(database.store.pool())
    .await
    .unwrap();
    assert_eq!(stored, ("delivered".into(), "11,12".into()));
}

#[tokio::test]
async fn a_topic_that_another_run_has_begun_anew_is_not_taken_for_the_dialogs() {
    let (database, mirror, messages) = start(1).await;
    let pool = database.store.pool();
    let dialog = mirror.load(messages[0]).await.unwrap().unwrap().dialog;
    let created =
        async |begun, topic| topics::topic_created(pool, dialog, begun, ChatId(-1001), ThreadId(topic), "Клиент").await.unwrap();
    let first = topics::topic_begins(pool, dialog).await.unwrap().unwrap();
    let second = topics::topic_begins(pool, dialog).await.unwrap().unwrap();
    assert!(!created(first, 1).await, "the second one's runs already");
    topics::topic_not_created(pool, dialog, first).await.unwrap();
    assert!(created(second, 2).await, "what became of the first one says nothing of it");
    assert!(!created(first, 1).await && !created(second, 2).await, "once is enough");
    assert_eq!(mirror.place(dialog).await.unwrap().unwrap().topic, Some(ThreadId(2)));
    assert_eq!(topics::topic_begins(pool, DialogId(0)).await.unwrap(), None);
}

#[tokio::test]
async fn one_that_waits_for_a_lock_does_not_hold_the_others_up() {
    let (database, mirror, messages) = start(20).await;
    let pool = database.store.pool();
    let mut holder = pool.begin().await.unwrap();
    sqlx::query("select from messages where id = $1 for update").bind(messages[0].0).execute(&mut *holder).await.unwrap();
    let held = tokio::spawn({
        let (mirror, message) = (mirror.clone(), messages[0]);
        async move { mirror.part_sending(message, 0, 0).await.unwrap() }
    });
    wait_until(SOON, "a statement that waits", async || {
        let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        (number(pool, waiting).await == 1).then_some(())
    })
    .await;
    let others = join_all(messages[1..].iter().map(|&message| mirror.part_sending(message, 0, 0)));
    let others = timeout(SOON, others).await.expect("they do not wait");
    assert!(others.into_iter().all(|begun| begun.unwrap()));
    assert!(!held.is_finished());
    holder.rollback().await.unwrap();
    assert!(held.await.unwrap());
}

//! Everything fails at once, and nothing is lost.

use crate::support::{Person, Setup, Stack, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

const CUSTOMERS: usize = 20;
const MESSAGES: usize = 1_000;
const REPLIES: usize = 300;
const TRAFFIC: Duration = Duration::from_secs(60);
const KILLS: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_messages_and_three_hundred_replies_survive_kills_drops_and_a_restart() {
    let mut stack = Stack::start(Setup { workers: 3, own_cluster: true, ..Setup::default() }).await;
    let mut accounts = Vec::new();
    for number in 0..4 {
        let person = stack.person(&format!("Сотрудник{number}")).await;
        stack.connect(person).await;
        accounts.push(person);
    }
    let mut customers: Vec<(Person, Person, String)> = Vec::new();
    for number in 0..CUSTOMERS {
        let name = format!("Клиент{number}.");
        customers.push((stack.person(&name).await, accounts[number % accounts.len()], name));
    }
    for (customer, account, _) in &customers {
        stack.write(*customer, *account, "0").await;
    }
    let mut topics = BTreeMap::new();
    for (_, _, name) in &customers {
        topics.insert(name.clone(), stack.topic(name).await);
    }

    let began = Instant::now();
    let (mut written, mut answered, mut kills, mut restarted) = (0, 0, 0, false);
    let mut random = fastrand_seed();
    while began.elapsed() < TRAFFIC || written < MESSAGES || answered < REPLIES {
        let share = (began.elapsed().as_secs_f64() / TRAFFIC.as_secs_f64()).min(1.0);
        while written < MESSAGES && (written as f64) < share * MESSAGES as f64 {
            let (customer, account, _) = &customers[written % CUSTOMERS];
            stack.write(*customer, *account, &(written / CUSTOMERS + 1).to_string()).await;
            written += 1;
        }
        while answered < REPLIES && (answered as f64) < share * REPLIES as f64 {
            let (_, _, name) = &customers[answered % CUSTOMERS];
            stack.answer(&topics[name], &format!("ответ {}", answered / CUSTOMERS)).await;
            answered += 1;
        }
        if began.elapsed() > KILLS * (kills + 1) && began.elapsed() < TRAFFIC {
            kills += 1;
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            stack.replace_worker((random >> 33) as usize % 3).await;
            if kills % 4 == 1 {
                stack.control("POST", "/faults", json!({ "kind": "drop_connections" })).await;
            }
        }
        if !restarted && began.elapsed() > TRAFFIC / 2 {
            restarted = true;
            stack.cluster().embedded.restart(tuberry::embedded::Restart::Immediate).await.expect("PostgreSQL restarts");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(kills >= 10, "{kills} kills");

    let expected: Vec<usize> = (0..=MESSAGES / CUSTOMERS).collect();
    for (customer, account, name) in &customers {
        let shown = wait_until(Duration::from_secs(300), &format!("all messages of {name}"), async || {
            let shown = numbers(&stack.topic(name).await, name);
            let mut once = shown.clone();
            once.dedup();
            (once.len() >= expected.len()).then_some(shown)
        })
        .await;
        let mut once = shown.clone();
        once.dedup();
        assert_eq!(once, expected, "{name}: lost or reordered");
        if shown.len() > once.len() {
            assert_duplicates_are_provable(&stack, name, &shown).await;
        }
        let replies: Vec<String> = (0..REPLIES / CUSTOMERS).map(|number| format!("ответ {number}")).collect();
        wait_until(Duration::from_secs(300), &format!("all replies to {name}"), async || {
            (stack.received(*customer, *account).await.len() >= replies.len()).then_some(())
        })
        .await;
        assert_eq!(stack.received(*customer, *account).await, replies, "{name}: replies lost, doubled or reordered");
    }
    assert_eq!(stack.topics().await.len(), CUSTOMERS);
    stack.assert_keys_were_never_shared().await;
}

fn fastrand_seed() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |now| now.as_nanos() as u64)
}

fn numbers(topic: &Value, name: &str) -> Vec<usize> {
    let prefix = format!("💬 {name}: ");
    Stack::mirrored(topic).iter().filter_map(|text| text.strip_prefix(&prefix)?.parse().ok()).collect()
}

/// A message that shows twice had its call begun twice: its row said `sending` when its process died.
async fn assert_duplicates_are_provable(stack: &Stack, name: &str, shown: &[usize]) {
    for pair in shown.windows(2).filter(|pair| pair[0] == pair[1]) {
        let attempts: Option<i32> = sqlx::query_scalar(
            "select p.attempts from personal_telegram_parts p
               join personal_telegram_messages o on o.message_id = p.message_id join dialogs d on d.id = o.dialog_id
              where o.incoming and d.external_display_name = $1 and o.text = $2",
        )
        .bind(name)
        .bind(pair[0].to_string())
        .fetch_optional(stack.store().pool())
        .await
        .expect("a query");
        assert!(attempts.is_some_and(|attempts| attempts > 1), "{name}: message {} shows twice without a reason", pair[0]);
    }
}

//! Life in the demo: an employee's account is connected through our own REST interface, as a person would, then customers write to
//! it now and then, and an operator answers in the topics that wait.

use super::seed::{Chatters, Seed};
use super::telegram::{Simulated, Topic};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

const CUSTOMERS: &[(&str, &str)] = &[("Иван", "Петров"), ("Мария", "Смирнова"), ("Алексей", "Кузнецов"), ("Елена", "Волкова")];

const QUESTIONS: &[&str] = &[
    "Здравствуйте! Подскажите, есть ли в наличии?",
    "Добрый день. Сколько стоит доставка?",
    "А когда сможете привезти?",
    "Можно ли оплатить картой?",
    "Размеры <60×90> & цвет «белый» ещё есть?",
    "Спасибо! 👍",
];

const ANSWERS: &[&str] = &[
    "Здравствуйте! Да, всё в наличии.",
    "Доставка завтра с 10 до 14, 300 ₽.",
    "Можно картой или переводом.",
    "Уточню и сразу напишу.",
];

/// How long the login may take, from the request to the connected account.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(60);

/// Connects the account where that was not done before, then chats for ever. What fails is logged and tried again.
pub(super) async fn run(data_dir: &Path, seed: &mut Seed, api: &str, token: &str, telegram: &Simulated) {
    let chatters = loop {
        match connected(data_dir, seed, api, token, telegram).await {
            Ok(chatters) => break chatters,
            Err(error) => tracing::warn!(error = format!("{error:#}"), "the demo's account is not connected"),
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    };
    loop {
        let spoken = async {
            telegram.write(choose(&chatters.customers), chatters.employee, choose(QUESTIONS)).await?;
            tokio::time::sleep(seconds_between(2, 5)).await;
            answer_one(seed, telegram).await
        };
        if let Err(error) = spoken.await {
            tracing::warn!(error = format!("{error:#}"), "the demo's customers");
        }
        tokio::time::sleep(seconds_between(3, 8)).await;
    }
}

/// The people of the traffic; connects the employee's account the first time.
async fn connected(data_dir: &Path, seed: &mut Seed, api: &str, token: &str, telegram: &Simulated) -> Result<Chatters> {
    if let Some(chatters) = &seed.chatters {
        return Ok(chatters.clone());
    }
    let employee = telegram.person("Анна", "Менеджерова").await?;
    connect(seed.project_id, employee, api, token, telegram).await?;
    let mut customers = Vec::new();
    for (first_name, last_name) in CUSTOMERS {
        customers.push(telegram.person(first_name, last_name).await?);
    }
    let chatters = Chatters { employee, customers };
    seed.chatters = Some(chatters.clone());
    seed.store(data_dir)?;
    Ok(chatters)
}

/// Login by QR code: asks for the code, lets the employee's phone scan it, and waits for the account.
async fn connect(project: i32, employee: i64, api: &str, token: &str, telegram: &Simulated) -> Result<()> {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build()?;
    let logins = format!("{api}/api/personal-telegram-accounts/login");
    let login: Value = http
        .post(&logins)
        .bearer_auth(token)
        .json(&json!({ "project_id": project }))
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    let id = login["login_id"].as_str().context("a login without id")?.to_owned();
    let mut url = login["qr_url"].as_str().context("a login without a QR code")?.to_owned();
    let deadline = Instant::now() + LOGIN_TIMEOUT;
    let mut scanned = false;
    loop {
        if !scanned {
            // The code may have expired in this moment: then the next look brings a new one.
            scanned = telegram.scan(employee, &url).await.is_ok();
        }
        let state: Value = http.get(format!("{logins}/{id}")).bearer_auth(token).send().await?.error_for_status()?.json().await?;
        match state["status"].as_str() {
            Some("completed") => return Ok(()),
            Some("error" | "expired" | "password_required") | None => bail!("the login ended: {state}"),
            Some(_) if Instant::now() > deadline => bail!("the login takes too long: {}", state["status"]),
            Some(_) => {}
        }
        if let Some(newer) = state["qr_url"].as_str() {
            newer.clone_into(&mut url);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The operator answers one of the customers who wait.
async fn answer_one(seed: &Seed, telegram: &Simulated) -> Result<()> {
    let topics = telegram.topics(seed.forum_chat_id).await?;
    let waiting: Vec<i64> = topics.iter().filter(|topic| waits_for_us(topic)).map(|topic| topic.thread_id).collect();
    if waiting.is_empty() {
        return Ok(());
    }
    telegram.answer(seed.forum_chat_id, choose(&waiting), seed.operator_id, choose(ANSWERS)).await
}

/// The title begins with a red mark, and the last word is one of our customers': what a visitor of the demo wrote by hand waits for the visitor.
fn waits_for_us(topic: &Topic) -> bool {
    let last = topic.messages.last().map_or("", |message| &message.text);
    topic.name.starts_with('🔴') && QUESTIONS.iter().any(|question| last.ends_with(question))
}

fn random() -> usize {
    let number = getrandom::u32().expect("the operating system has random numbers");
    number as usize
}

fn choose<T: Copy>(from: &[T]) -> T {
    from[random() % from.len()]
}

fn seconds_between(least: u64, most: u64) -> Duration {
    Duration::from_millis(least * 1000 + random() as u64 % ((most - least) * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::telegram::Message;

    #[test]
    fn what_a_visitor_writes_is_left_to_the_visitor() {
        let topic = |name: &str, text: &str| Topic {
            thread_id: 7,
            name: name.to_owned(),
            messages: vec![Message { text: format!("💬 Иван Петров: {text}") }],
        };
        assert!(waits_for_us(&topic("🔴 Иван Петров", QUESTIONS[0])));
        assert!(!waits_for_us(&topic("🟢 Иван Петров", QUESTIONS[0])));
        assert!(!waits_for_us(&topic("🔴 Иван Петров", "Проверка")));
        assert!(!waits_for_us(&Topic { thread_id: 7, name: "🔴 Иван".into(), messages: Vec::new() }));
    }
}

//! Somebody with a browser's cookies, but without a browser; and a tenant with something to look at.

use crate::api::{Answer, App, Owner};
use reqwest::header::{ACCEPT, COOKIE, SET_COOKIE};
use reqwest::redirect::Policy;
use std::sync::LazyLock;
use tuberry::passwords;
use tuberry_domain::{ClientId, MessageId, Secret};
use tuberry_jobs::MirrorMessage;
use tuberry_storage::users::Role;

/// Bytes of a page.
const LARGEST_PAGE: usize = 60_000;

pub const PASSWORD: &str = "correct horse";

static HASH: LazyLock<String> = LazyLock::new(|| passwords::hash(&Secret::new(PASSWORD.into())));

/// Somebody who signed in through the form.
pub struct Visit {
    base: String,
    client: reqwest::Client,
    cookie: String,
}

impl Visit {
    pub async fn of(app: &App, role: Role, client: Option<ClientId>) -> Self {
        let (_, email) = app.user(role, client, &HASH).await;
        let browser = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
        let body =
            reqwest::Url::parse_with_params("http://x", [("email", email.as_str()), ("password", PASSWORD), ("next", "/client")]);
        let request = browser
            .post(format!("{}/sign-in", app.base))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.unwrap().query().unwrap().to_owned());
        let answer = request.send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers()["location"].to_str().unwrap()), (303, "/client"));
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        Self { base: app.base.clone(), client: browser, cookie }
    }

    /// A page; redirects are not followed.
    pub async fn open(&self, path: &str) -> Answer {
        let request = self.client.get(format!("{}{path}", self.base)).header(ACCEPT, "text/html").header(COOKIE, &self.cookie);
        read(request.send().await.unwrap()).await
    }

    /// A call of the REST interface as a page's script makes it, or without the token.
    pub async fn call(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> Answer {
        let request = self.client.request(method.parse().unwrap(), format!("{}{path}", self.base)).header(COOKIE, &self.cookie);
        let request = match token {
            Some(token) => request.header("x-csrf-token", token),
            None => request,
        };
        read(request.body(body.to_owned()).send().await.unwrap()).await
    }

    /// A form of a page, sent without a script.
    pub async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = reqwest::Url::parse_with_params("http://x", fields).unwrap().query().unwrap_or_default().to_owned();
        let request = self.client.post(format!("{}{path}", self.base)).header(COOKIE, &self.cookie);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        read(request.send().await.unwrap()).await
    }

    /// The CSRF token that the session's pages carry.
    pub async fn token(&self) -> String {
        let page = self.open("/password").await.ok(200).text;
        page.split_once(r#"name="csrf" content=""#).unwrap().1.split_once('"').unwrap().0.to_owned()
    }

    /// A stream of events.
    pub async fn listen(&self, path: &str) -> reqwest::Response {
        let answer = self.client.get(format!("{}{path}", self.base)).header(COOKIE, &self.cookie).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        answer
    }
}

async fn read(response: reqwest::Response) -> Answer {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap() }
}

/// A tenant with a dialog in a working group.
pub struct Shop {
    pub owner: Owner,
    pub project: i32,
    pub bot: i32,
    pub account: i32,
    pub dialog: i32,
}

impl Shop {
    pub async fn open(app: &App, group: &str, customer: &str) -> Self {
        let owner = app.owner().await;
        let project = app.project(&owner).await;
        let bot = app.bot(&owner, Some(group), "secret").await;
        let account = app.account(&owner, project).await;
        let dialog = app.dialog(&owner, bot, account, 77, 0).await;
        app.execute(&format!("update dialogs set external_display_name = '{customer}' where id = {dialog}")).await;
        Self { owner, project, bot, account, dialog }
    }

    /// A message that waits for its way into the topic; the job's id.
    pub async fn mirror(&self, app: &App) -> String {
        let message = app.message(self.dialog, "Здравствуйте").await;
        app.execute(&format!(
            "insert into personal_telegram_messages (message_id, dialog_id, account_id, chat_id, incoming)
             values ({message}, {}, {}, 77, true)",
            self.dialog, self.account
        ))
        .await;
        let mut tx = app.database.store.begin().await.unwrap();
        let job = MirrorMessage { message: MessageId(message), dialog: self.dialog.into() };
        assert!(tuberry_jobs::enqueue(&mut tx, &job).await.unwrap());
        tx.commit().await.unwrap();
        app.value("select id from apalis.jobs order by seq desc limit 1").await.unwrap()
    }

    /// The same, as if it had failed.
    pub async fn dead(&self, app: &App, error: &str) -> String {
        let id = self.mirror(app).await;
        app.execute(&format!(
            "update apalis.jobs set status = 'Failed', gate = 0, attempts = 3, runs = 3, done_at = now(), lock_at = now() - interval '1 second',
                    lock_by = 'host/1/kind', last_result = jsonb_build_object('Err', '{error}') where id = '{id}';
             insert into queue.attempts (job_id, place, run, started_at, ended_at, worker, outcome, error)
             select '{id}', n, n, now() - interval '1 minute', now(), 'host/1/kind', case n when 3 then 3 else 1 end, '{error}' from generate_series(1, 3) n"
        ))
        .await;
        id
    }
}

/// A page's text between its tags.
pub fn words(page: &str) -> Vec<&str> {
    page.split('>').filter_map(|part| part.split('<').next()).map(str::trim).filter(|text| !text.is_empty()).collect()
}

/// Nothing inline, and no text's id where a text should be.
#[track_caller]
pub fn assert_clean(path: &str, page: &str) {
    assert!(page.len() < LARGEST_PAGE, "{path}: {} bytes", page.len());
    for tag in page.split('<').skip(1).filter_map(|part| part.split('>').next()) {
        assert!(!tag.starts_with("style"), "{path}: <{tag}>");
        assert!(!tag.starts_with("script") || tag.contains(" src=\"/assets/"), "{path}: <{tag}>");
        let outside_values: String = tag.split('"').step_by(2).collect();
        for attribute in outside_values.split_whitespace().skip(1) {
            assert!(!attribute.starts_with("style=") && !attribute.starts_with("on"), "{path}: <{tag}>");
        }
        assert!(!tag.contains("javascript:"), "{path}: <{tag}>");
    }
    for text in words(page) {
        let id = text.contains('-') && text.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'.'));
        assert!(!id, "{path}: {text} is no text");
    }
}

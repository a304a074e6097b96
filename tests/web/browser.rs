//! A Chromium that a test drives through chromedriver. One at a time: it is a heavy thing. Both end with the test, however it ends.

use super::PASSWORD;
use crate::support::{Process, Stack, free_port, wait_until};
use fantoccini::elements::Element;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use std::path::Path;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tuberry_storage::users::Role;

type ParseError = <Url as FromStr>::Err;

static TURN: Semaphore = Semaphore::const_new(1);

/// Chromium's first page on a busy machine.
const START: Duration = Duration::from_secs(90);
const PATIENCE: Duration = Duration::from_secs(20);

/// How pages are looked at: width, scheme, and whether axe judges them there (its colours depend on the scheme, its layout on the width).
const LOOKS: [(u32, &str, bool); 5] =
    [(360, "light", false), (360, "dark", true), (1280, "light", true), (1280, "dark", false), (1920, "light", false)];

/// A judge of accessibility that we did not write; `scripts/setup.sh` installs it.
static AXE: LazyLock<String> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/npm/node_modules/axe-core/axe.min.js");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}; run make setup", path.display()))
});

pub struct Browser {
    client: Client,
    base: String,
    driver: Process,
    _profile: tempfile::TempDir,
    _turn: SemaphorePermit<'static>,
}

impl Browser {
    /// A browser that prefers Russian, before the stack's portal.
    pub async fn start(stack: &Stack) -> Self {
        Self::before(stack.url()).await
    }

    /// The same before a portal anywhere.
    pub async fn before(base: String) -> Self {
        let turn = TURN.acquire().await.unwrap();
        let profile = tempfile::Builder::new().prefix("chromium-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let port = free_port();
        let driver = Process::start("chromedriver", &[&format!("--port={port}")], &[("LC_ALL", "C.UTF-8")]).await;
        let options = json!({
            "args": ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--remote-debugging-pipe", "--mute-audio",
                     format!("--user-data-dir={}", profile.path().display())],
            "prefs": { "intl.accept_languages": "ru-RU,ru", "credentials_enable_service": false },
        });
        let log = json!({ "browser": "ALL" });
        let capabilities =
            serde_json::Map::from_iter([("goog:chromeOptions".to_owned(), options), ("goog:loggingPrefs".to_owned(), log)]);
        let client = wait_until(START, "a browser", async || {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(capabilities.clone()).connect(&format!("http://127.0.0.1:{port}")).await.ok()
        })
        .await;
        let browser = Self { client, base, driver, _profile: profile, _turn: turn };
        browser.look(1200, "light").await;
        browser
    }

    /// The same, with a user of the stack's tenant signed in.
    pub async fn signed_in(stack: &Stack, role: Role) -> Self {
        let email = stack.user(role, PASSWORD).await;
        let browser = Self::start(stack).await;
        browser.open("/sign-in").await;
        browser.sign_in(&email, PASSWORD).await;
        browser.sees("h1", "Проекты").await;
        browser
    }

    /// The same with the platform's administrator.
    pub async fn administrator(stack: &Stack) -> Self {
        let email = stack.administrator(PASSWORD).await;
        let browser = Self::start(stack).await;
        browser.open("/sign-in").await;
        browser.sign_in(&email, PASSWORD).await;
        browser.sees("h1", "Задания").await;
        browser
    }

    /// Fills the sign-in form and sends it.
    pub async fn sign_in(&self, email: &str, password: &str) {
        self.fill("[name=email]", email).await;
        self.fill("[name=password]", password).await;
        self.click("form[action='/sign-in'] button").await;
    }

    pub async fn open(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.base)).await.unwrap();
    }

    pub async fn reload(&self) {
        self.client.refresh().await.unwrap();
    }

    /// The path of the page that is shown.
    pub async fn path(&self) -> String {
        self.client.current_url().await.unwrap().path().to_owned()
    }

    pub async fn element(&self, css: &str) -> Element {
        wait_until(PATIENCE, css, async || self.client.find(Locator::Css(css)).await.ok()).await
    }

    /// Changes to the other language, by the menu.
    pub async fn change_language(&self) {
        let before = self.value("document.documentElement.lang").await;
        self.click("details.who summary").await;
        self.click("form[action='/language'] button").await;
        wait_until(PATIENCE, "the other language", async || {
            (self.value("document.documentElement.lang").await != before).then_some(())
        })
        .await;
    }

    /// Goes on in the window whose address begins so, once there is one.
    pub async fn go_to_window(&self, address: &str) {
        wait_until(PATIENCE, &format!("a window of {address}"), async || {
            for window in self.client.windows().await.ok()? {
                self.client.switch_to_window(window).await.ok()?;
                if self.client.current_url().await.ok()?.as_str().starts_with(address) {
                    return Some(());
                }
            }
            None
        })
        .await;
    }

    /// Chooses the option with this text.
    pub async fn choose(&self, css: &str, text: &str) {
        wait_until(PATIENCE, &format!("{text} in {css}"), async || {
            self.client.find(Locator::Css(css)).await.ok()?.select_by_label(text).await.ok()
        })
        .await;
    }

    /// How many elements there are.
    pub async fn count(&self, css: &str) -> usize {
        self.client.find_all(Locator::Css(css)).await.unwrap().len()
    }

    /// Waits until the first such element is seen and its text contains `text`.
    pub async fn sees(&self, css: &str, text: &str) {
        self.within(PATIENCE, css, text).await;
    }

    /// The same with another patience.
    pub async fn within(&self, patience: Duration, css: &str, text: &str) {
        wait_until(patience, &format!("{css} with «{text}»"), async || {
            let element = self.client.find(Locator::Css(css)).await.ok()?;
            let seen = element.is_displayed().await.ok()? && element.text().await.ok()?.contains(text);
            seen.then_some(())
        })
        .await;
    }

    /// Waits until there is no such element, or it is not seen any more.
    pub async fn gone(&self, css: &str) {
        wait_until(PATIENCE, &format!("no {css}"), async || match self.client.find(Locator::Css(css)).await {
            Ok(element) => (!element.is_displayed().await.unwrap_or(true)).then_some(()),
            Err(error) => error.is_no_such_element().then_some(()),
        })
        .await;
    }

    /// Clicks as a mouse does: what is covered, or not there yet, is tried again.
    pub async fn click(&self, css: &str) {
        wait_until(PATIENCE, &format!("a click on {css}"), async || {
            self.client.find(Locator::Css(css)).await.ok()?.click().await.ok()
        })
        .await;
    }

    /// Types into an empty field.
    pub async fn fill(&self, css: &str, text: &str) {
        let field = self.element(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Presses keys where the focus is. An element that the page has just replaced took none: once more.
    pub async fn press(&self, keys: &str) {
        wait_until(PATIENCE, "keys where the focus is", async || {
            self.client.active_element().await.ok()?.send_keys(keys).await.ok()
        })
        .await;
    }

    /// The value of a script's expression.
    pub async fn value(&self, expression: &str) -> Value {
        self.client.execute(&format!("return {expression}"), Vec::new()).await.unwrap()
    }

    /// Screenshots of a page of the portal, which may not be larger than 60 kB.
    pub async fn shoot(&self, name: &str) {
        self.shoot_long(name).await;
        let size = self.client.source().await.unwrap().len();
        assert!(size < 60_000, "{name} has {size} bytes");
    }

    /// Screenshots of the page as people see it ([`LOOKS`]), into `target/screenshots`. No page may be wider than the screen, keep somebody out,
    /// or have failed.
    pub async fn shoot_long(&self, name: &str) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        self.assert_still(name).await;
        for (width, scheme, judged) in LOOKS {
            self.look(width, scheme).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            let wide = self.value("document.documentElement.scrollWidth").await;
            assert!(wide.as_u64().unwrap() <= u64::from(width), "{name} scrolls sideways at {width} px: {wide} px");
            let picture = self.client.screenshot().await.unwrap();
            std::fs::write(folder.join(format!("{name}-{width}-{scheme}.png")), picture).unwrap();
            if judged {
                self.assert_accessible(&format!("{name}, {scheme}")).await;
            }
        }
        self.look(1200, "light").await;
        self.assert_no_errors().await;
    }

    /// A picture of the page for the documents, `docs/screenshots/<name>.png`.
    pub async fn picture(&self, name: &str) {
        let metrics = json!({ "width": 1100, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), self.client.screenshot().await.unwrap()).unwrap();
    }

    /// Nothing has jumped since the page was opened: Chromium's own measure of layout shifts, by its own limit for «good».
    async fn assert_still(&self, what: &str) {
        let sum = "const done = arguments[arguments.length - 1];
                   setTimeout(() => done(0), 200);
                   new PerformanceObserver((list) => done(list.getEntries().filter((shift) => !shift.hadRecentInput).reduce((sum, shift) => sum + shift.value, 0)))
                     .observe({ type: 'layout-shift', buffered: true })";
        let shifted = self.client.execute_async(sum, Vec::new()).await.unwrap();
        assert!(shifted.as_f64().unwrap() < 0.1, "{what}: the layout has shifted by {shifted}");
    }

    /// axe finds nothing serious or critical. It is injected by the driver: the pages' policy would refuse it.
    async fn assert_accessible(&self, what: &str) {
        self.client.execute(&AXE, Vec::new()).await.unwrap();
        let run = "const done = arguments[arguments.length - 1];
                   axe.run(document, { resultTypes: ['violations'] }).then(
                     (result) => done({ rules: result.passes.length, violations: result.violations.map((violation) => ({
                       impact: violation.impact, rule: violation.id, help: violation.help,
                       places: violation.nodes.map((node) => `${node.target} ${node.failureSummary}`) })) }),
                     (error) => done({ error: String(error) }))";
        let result = self.client.execute_async(run, Vec::new()).await.unwrap();
        assert!(result["rules"].as_u64() > Some(5), "{what}: axe did not look: {result}");
        let violations = result["violations"].as_array().unwrap().iter();
        let bad: Vec<&Value> =
            violations.filter(|violation| matches!(violation["impact"].as_str(), Some("serious" | "critical"))).collect();
        assert!(bad.is_empty(), "{what}: {bad:#?}");
    }

    async fn look(&self, width: u32, scheme: &str) {
        let height = if width < 500 { 800 } else { 1080 };
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    async fn devtools(&self, command: &'static str, parameters: Value) {
        self.extension("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await;
    }

    async fn extension(&self, path: &'static str, body: Value) -> Value {
        self.client.issue_cmd(Extension { path, body }).await.unwrap()
    }

    /// No script failed so far, and nothing was refused by the pages' policy.
    async fn assert_no_errors(&self) {
        let log = self.extension("se/log", json!({ "type": "browser" })).await;
        let lines = log.as_array().unwrap().iter().filter_map(|line| line["message"].as_str());
        let bad: Vec<&str> = lines.filter(|line| line.contains("Uncaught") || line.contains("Content Security Policy")).collect();
        assert!(bad.is_empty(), "{bad:#?}");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium is in chromedriver's process group.
        let _ = killpg(Pid::from_raw(self.driver.pid().cast_signed()), Signal::SIGKILL);
    }
}

/// One of chromedriver's own commands.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

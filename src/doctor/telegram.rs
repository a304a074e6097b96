//! Telegram itself: as which application we come, whether it can be reached, and what time it has.

use super::finding::clock;
use super::{Finding, Patient, in_time};
use chrono::{DateTime, Utc};
use reqwest::header::DATE;
use tokio::net::TcpStream;
use tuberry_telegram::{Device, Network};

/// Whether the Bot API answers.
pub(super) const BOT_API: &str = "bot api";

pub(super) async fn look(patient: &Patient) -> Vec<Finding> {
    let mut findings = vec![application(patient)];
    let (accounts, bots) = tokio::join!(accounts(patient), bot_api(patient));
    findings.push(accounts);
    findings.extend(bots);
    findings
}

fn application(patient: &Patient) -> Finding {
    const CHECK: &str = "api_id";
    let telegram = &patient.settings.telegram;
    match (patient.application.published_as(), &telegram.application) {
        (None, _) => Finding::fine(CHECK, "your own application's"),
        (Some(_), None) if telegram.simulator.is_some() => Finding::fine(CHECK, "the simulator takes any"),
        (Some(whose), set) => Finding::wrong(
            CHECK,
            format!(
                "{} is that of {whose}{}: Telegram's terms do not allow it, logins may be refused",
                patient.application.id,
                if set.is_none() { ", in the place of yours" } else { "" }
            ),
            "get your own at https://my.telegram.org; docs/operations.md says how",
        ),
    }
}

/// Whether the way of the accounts' connections is open, as far as a TCP connection tells.
async fn accounts(patient: &Patient) -> Finding {
    const CHECK: &str = "telegram";
    let telegram = &patient.settings.telegram;
    if let Some(proxy) = &telegram.proxy {
        return match in_time(TcpStream::connect(proxy.place())).await {
            Ok(_) => Finding::fine(CHECK, format!("the proxy {proxy} answers")),
            Err(error) => Finding::wrong(CHECK, format!("the proxy {proxy}: {error}"), "start it, or correct TELEGRAM_PROXY"),
        };
    }
    let network = match &telegram.simulator {
        None => Ok(Network::telegram(patient.application.clone(), Device::default())),
        Some(simulator) => in_time(Network::simulator(simulator, patient.application.clone(), Device::default())).await,
    };
    let address = match network.map(|network| network.first_address()) {
        Ok(Some(address)) => address,
        Ok(None) => return Finding::skipped(CHECK, "no data centre is known"),
        Err(error) => return Finding::wrong(CHECK, format!("the simulator: {error}"), "start it, or correct TELEGRAM_SIMULATOR"),
    };
    match in_time(TcpStream::connect(address)).await {
        Ok(_) => Finding::fine(CHECK, format!("data centre {address} answers")),
        Err(error) => {
            Finding::wrong(CHECK, format!("data centre {address}: {error}"), "let the firewall pass it, or set TELEGRAM_PROXY")
        }
    }
}

/// Whether the Bot API answers, and its clock.
async fn bot_api(patient: &Patient) -> Vec<Finding> {
    const CHECK: &str = BOT_API;
    let base = &patient.settings.telegram.bot_api_base;
    let host = base.parse::<reqwest::Url>().ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let asked = async {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        client.head(base).send().await.map_err(reqwest::Error::without_url)
    };
    let started = Utc::now();
    let answer = match in_time(asked).await {
        Ok(answer) => answer,
        Err(error) => {
            let mend = "let the firewall pass it, or correct TELEGRAM_API_BASE";
            return vec![Finding::wrong(CHECK, format!("{host}: {error}"), mend)];
        }
    };
    let ours = started + (Utc::now() - started) / 2;
    let date = answer.headers().get(DATE).and_then(|date| DateTime::parse_from_rfc2822(date.to_str().ok()?).ok());
    let of_clock = match date {
        Some(date) => clock("Telegram", date.to_utc() - ours),
        None => Finding::skipped("clock of Telegram", "the Bot API does not tell the time"),
    };
    vec![Finding::fine(CHECK, format!("{host} answers")), of_clock]
}

//! The managing bots: token, working group, rights, and where their updates go.

use super::{Finding, Patient, in_time};
use crate::config::BotUpdates;
use crate::http::Webhooks;
use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use tuberry_domain::ChatId;
use tuberry_domain::ports::{BotApi, WebhookInfo};
use tuberry_domain::working_group::{Lack, lacks};
use tuberry_storage::Store;
use tuberry_storage::diagnosis::{self, CheckedBot};

/// Bots that are asked for at the same time.
const AT_ONCE: usize = 4;
/// More waiting updates than this are no usual moment.
const MANY_UPDATES: u64 = 50;
/// An older failure of the webhook is over.
const RECENT: i64 = 600;

pub(super) async fn look(patient: &Patient, store: &Store, api: &dyn BotApi) -> Vec<Finding> {
    let (bots, all) = match in_time(diagnosis::bots(store)).await {
        Ok(found) => found,
        Err(error) => return vec![Finding::skipped("bots", error)],
    };
    if bots.is_empty() {
        return vec![Finding::note(
            "bots",
            "no project has a managing bot",
            "connect one in the portal, and bind it to the project",
        )];
    }
    let mut findings = Vec::new();
    if all > diagnosis::MOST_BOTS {
        findings.push(Finding::note(
            "bots",
            format!("{} of {all} bots are looked at", diagnosis::MOST_BOTS),
            "look at the others in the portal",
        ));
    }
    let looked: Vec<Vec<Finding>> = stream::iter(&bots).map(|bot| one(patient, api, bot)).buffered(AT_ONCE).collect().await;
    findings.extend(looked.into_iter().flatten());
    findings
}

async fn one(patient: &Patient, api: &dyn BotApi, bot: &CheckedBot) -> Vec<Finding> {
    let check = format!("bot {}", bot.id);
    let me = match in_time(api.get_me(&bot.token)).await {
        Ok(me) => me,
        Err(error) => {
            let mend = "see whether the token is still BotFather's: a new one goes into bots.token";
            return vec![Finding::wrong(check, format!("getMe: {error}"), mend)];
        }
    };
    let mut findings = group(&check, api, bot, me.id).await;
    if bot.status == "error" {
        findings.push(Finding::note(
            &check,
            "the last message did not get through",
            "the next one that does takes the mark away",
        ));
    }
    findings.extend(match in_time(api.get_webhook_info(&bot.token)).await {
        Ok(info) => webhook(&check, patient, bot, &info),
        Err(error) => vec![Finding::skipped(&check, format!("getWebhookInfo: {error}"))],
    });
    if findings.is_empty() {
        findings.push(Finding::fine(check, format!("@{} has its group, its rights and its updates", me.username)));
    }
    findings
}

async fn group(check: &str, api: &dyn BotApi, bot: &CheckedBot, own_id: i64) -> Vec<Finding> {
    let Some(group) = bot.group.as_deref().map(str::trim).filter(|group| !group.is_empty()) else {
        return vec![Finding::wrong(check, "it has no working group", "choose one in the portal")];
    };
    let Ok(id) = group.parse().map(ChatId) else {
        return vec![Finding::wrong(check, "bots.group_chat_id is no number", "choose the group anew in the portal")];
    };
    let asked = async { Ok((api.get_chat(&bot.token, id).await?, api.get_chat_member(&bot.token, id, own_id).await?)) };
    let (chat, member) = match in_time::<_, tuberry_domain::ports::BotError>(asked).await {
        Ok(found) => found,
        Err(error) => {
            return vec![Finding::wrong(check, format!("group {id}: {error}"), "make the bot an administrator of the group")];
        }
    };
    let mend = |lack| match lack {
        Lack::Supergroup => ("the group is no supergroup", "switch its topics on, which makes it one"),
        Lack::Topics => ("the group has no topics", "switch them on in the group's settings"),
        Lack::Administrator => ("the bot is no administrator of the group", "make it one"),
        Lack::ManageTopics => ("the bot may not manage topics", "give it that right in the group"),
        Lack::DeleteMessages => ("the bot may not delete messages", "give it that right in the group"),
    };
    lacks(&chat, &member).into_iter().map(mend).map(|(says, mend)| Finding::wrong(check, says, mend)).collect()
}

fn webhook(check: &str, patient: &Patient, bot: &CheckedBot, info: &WebhookInfo) -> Vec<Finding> {
    let mut findings = Vec::new();
    let place =
        |url: &str| url.parse::<reqwest::Url>().ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let settings = &patient.settings;
    match (settings.bot_updates, &info.url) {
        (BotUpdates::Polling, None) | (BotUpdates::Off, Some(_)) => {}
        (BotUpdates::Polling, Some(url)) => findings.push(Finding::wrong(
            check,
            format!("its updates go to {}, but a worker polls for them", place(url.expose())),
            "whoever sets that webhook takes the updates: stop it, or use BOT_UPDATES=webhook",
        )),
        (BotUpdates::Off, None) => findings.push(Finding::wrong(
            check,
            "it has no webhook, and BOT_UPDATES=off leaves its updates to somebody else",
            "let the old backend set its webhook, or use BOT_UPDATES=webhook",
        )),
        (BotUpdates::Webhook, None) => {
            findings.push(Finding::wrong(check, "it has no webhook", "start `tuberry api`, which sets it within a minute"));
        }
        (BotUpdates::Webhook, Some(url)) => {
            let webhooks = Webhooks { base_url: settings.webhook_base_url.clone().unwrap_or_default() };
            let own = bot.webhook_secret.as_ref().map(|secret| webhooks.url(bot.id, secret));
            if own.is_none_or(|own| own.expose() != url.expose()) {
                let says = format!("its updates go to {} by another address than ours", place(url.expose()));
                findings.push(Finding::wrong(check, says, "stop whoever sets that one; `tuberry api` sets ours within a minute"));
            }
        }
    }
    if let Some((date, message)) = &info.last_error
        && Utc::now().timestamp() - date < RECENT
    {
        let at = DateTime::from_timestamp(*date, 0).unwrap_or_default().format("%F %T UTC");
        let says = format!("Telegram could not deliver an update at {at}: {message}");
        let mend = match settings.bot_updates {
            BotUpdates::Off => "see whether the old backend can be reached from outside",
            _ => "see whether WEBHOOK_BASE_URL leads to `tuberry api` from outside",
        };
        findings.push(Finding::wrong(check, says, mend));
    }
    if info.pending > MANY_UPDATES {
        let says = format!("{} updates wait at Telegram", info.pending);
        let mend = match settings.bot_updates {
            BotUpdates::Off => "see whether the old backend runs",
            BotUpdates::Webhook => "see whether `tuberry api` runs",
            BotUpdates::Polling => "see whether a worker runs",
        };
        findings.push(Finding::wrong(check, says, mend));
    }
    findings
}

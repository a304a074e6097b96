//! Every variable that the service reads, with its default and its meaning: what `tuberry config` shows and the documents repeat.

use super::{BotUpdates, Settings};
use serde::Serialize;

/// Stands for what must not be seen.
const MASK: &str = "••••";

/// A variable.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    preset: Preset,
    shown: Shown,
    /// What it is for, in a few words.
    pub meaning: &'static str,
}

/// What holds without it.
#[derive(Debug)]
enum Preset {
    /// `api` and `worker` do not start.
    Required,
    Nothing,
    Text(&'static str),
    /// What other settings make of it.
    Derived(fn(&Settings) -> String),
}

/// How much of its value may be seen.
#[derive(Debug)]
enum Shown {
    All,
    /// All of a URL but passwords.
    Url,
    Nothing,
}

const fn plain(name: &'static str, preset: Preset, meaning: &'static str) -> Variable {
    Variable { name, preset, shown: Shown::All, meaning }
}

const fn url(name: &'static str, preset: Preset, meaning: &'static str) -> Variable {
    Variable { name, preset, shown: Shown::Url, meaning }
}

const fn secret(name: &'static str, preset: Preset, meaning: &'static str) -> Variable {
    Variable { name, preset, shown: Shown::Nothing, meaning }
}

use Preset::{Derived, Nothing, Required, Text};

/// All of them, in the order of `.env.example`.
pub const VARIABLES: &[Variable] = &[
    url("DATABASE_URL", Required, "PostgreSQL, for the pools"),
    url(
        "DATABASE_DIRECT_URL",
        Derived(|settings| settings.database.direct_url.expose().clone()),
        "straight to PostgreSQL: locks, LISTEN, the queue, migrations",
    ),
    url("REDIS_URL", Nothing, "an existing Tuberry's Redis; nothing: no bridge"),
    plain(
        "REDIS_BRIDGE",
        Derived(|settings| if settings.redis.is_some() { "consume".into() } else { "off".into() }),
        "consume | off: whether the bridge runs",
    ),
    secret("APP_SECRET", Required, "seals the sessions, unless PERSONAL_TELEGRAM_SESSION_SECRET is set"),
    secret("JWT_SECRET", Required, "signs bearer tokens"),
    plain("JWT_EXPIRES", Text("3600"), "lifetime of a bearer token, seconds"),
    url("TELEGRAM_API_BASE", Derived(|settings| settings.telegram.bot_api_base.clone()), "base of the Bot API"),
    url("WEBHOOK_BASE_URL", Nothing, "public address of api"),
    plain(
        "BOT_UPDATES",
        Derived(|settings| match settings.bot_updates {
            BotUpdates::Webhook => "webhook".into(),
            BotUpdates::Polling => "polling".into(),
            BotUpdates::Off => "off".into(),
        }),
        "how operators' messages arrive",
    ),
    plain("PERSONAL_TELEGRAM_API_ID", Nothing, "your application; nothing: the official client's"),
    secret("PERSONAL_TELEGRAM_API_HASH", Nothing, "your application's"),
    secret("PERSONAL_TELEGRAM_SESSION_SECRET", Nothing, "seals the sessions"),
    secret("PERSONAL_TELEGRAM_SESSION_SECRET_PREVIOUS", Nothing, "former secrets: they open only"),
    plain("PERSONAL_TELEGRAM_QR_TIMEOUT", Text("180"), "how long a login may wait for its scan, seconds"),
    plain("PERSONAL_TELEGRAM_DEVICE_MODEL", Text("Samsung Galaxy S24 Ultra"), "what the list of devices shows"),
    plain("PERSONAL_TELEGRAM_SYSTEM_VERSION", Text("Android 14 (API 34)"), "what the list of devices shows"),
    plain("PERSONAL_TELEGRAM_APP_VERSION", Text("10.6.0-release"), "what the list of devices shows"),
    plain("PERSONAL_TELEGRAM_LANG_CODE", Text("ru"), "language of the application"),
    plain("PERSONAL_TELEGRAM_SYSTEM_LANG_CODE", Text("ru"), "language of the device"),
    plain("LISTEN", Text("127.0.0.1:8080"), "address of api"),
    plain("BOARD_LISTEN", Nothing, "address of the queue's board; nothing: none"),
    plain("WORKER_MAX_ACCOUNTS", Text("1000"), "accounts per worker"),
    plain("WORKER_WEIGHT", Text("1"), "a worker's share in proportion to the others', 1 to 1000"),
    plain("WORKER_LISTEN", Nothing, "address of a worker's health and metrics; nothing: none"),
    plain("WORKER_CONNECTS_PER_SECOND", Text("250"), "accounts that one worker connects per second"),
    url("TELEGRAM_PROXY", Nothing, "SOCKS5 for all accounts without a proxy of their own"),
    plain("TELEGRAM_SIMULATOR", Nothing, "the simulator instead of Telegram"),
    plain("ALLOW_SIMULATOR", Nothing, "1: the simulator elsewhere than on loopback, too"),
    secret("DEMO_OWNER", Nothing, "the demo's owner, whom its sign-in page invites"),
    plain("RUST_LOG", Derived(|_| "info, libraries less".into()), "filter of the log"),
];

/// A variable as it is in effect.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// The variable.
    pub name: &'static str,
    /// Its value as far as it may be seen; `None`: there is none.
    pub value: Option<String>,
    /// `set`, `default`, or `missing` where it must be set.
    pub source: &'static str,
    /// What it is for.
    pub meaning: &'static str,
}

/// Every variable as `variable`, which stands for the environment, sets it. `settings` are those that were read from it.
pub fn effective(variable: &dyn Fn(&str) -> Option<String>, settings: &Settings) -> Vec<Effective> {
    let one = |known: &Variable| {
        let set = variable(known.name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let (source, value) = match (&set, &known.preset) {
            (Some(_), _) => ("set", set),
            (None, Required) => ("missing", None),
            (None, Nothing) => ("default", None),
            (None, Text(text)) => ("default", Some((*text).to_owned())),
            (None, Derived(derive)) => ("default", Some(derive(settings)).filter(|value| !value.is_empty())),
        };
        let value = value.map(|value| match known.shown {
            Shown::All => value,
            Shown::Url => masked(&value),
            Shown::Nothing => MASK.to_owned(),
        });
        Effective { name: known.name, value, source, meaning: known.meaning }
    };
    VARIABLES.iter().map(one).collect()
}

/// A URL without its passwords: behind the user's name, and in parameters whose name says so. What has no form of a URL is not shown at all.
fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return MASK.to_owned() };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    // A password may hold slashes and signs that should have been encoded: the last @ ends it.
    let rest = match rest.rsplit_once('@') {
        None => rest.to_owned(),
        Some((credentials, place)) => match credentials.split_once(':') {
            None => format!("{credentials}@{place}"),
            Some((user, _)) => format!("{user}:{MASK}@{place}"),
        },
    };
    let Some(query) = query else { return format!("{scheme}://{rest}") };
    // A password with a question mark in it.
    if query.contains('@') {
        return MASK.to_owned();
    }
    let parameter = |parameter: &str| match parameter.split_once('=') {
        Some((name, _)) if name.contains("pass") || name.contains("secret") || name.contains("token") => format!("{name}={MASK}"),
        _ => parameter.to_owned(),
    };
    let query: Vec<String> = query.split('&').map(parameter).collect();
    format!("{scheme}://{rest}?{}", query.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    const LEAST: [(&str, &str); 3] =
        [("DATABASE_URL", "postgresql://u:geheim@db/tuberry"), ("APP_SECRET", "geheim"), ("JWT_SECRET", "geheim")];

    fn least(name: &str) -> Option<String> {
        LEAST.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    fn names() -> BTreeSet<String> {
        VARIABLES.iter().map(|variable| variable.name.to_owned()).collect()
    }

    #[test]
    fn what_is_read_is_what_is_listed() {
        let asked = RefCell::new(BTreeSet::new());
        let (_, refused) = Settings::examine(&|name| {
            asked.borrow_mut().insert(name.to_owned());
            least(name)
        });
        assert!(refused.0.is_empty(), "{refused:?}");
        assert_eq!(asked.into_inner(), names());
    }

    #[test]
    fn the_defaults_shown_are_the_defaults() {
        let shown = |name: &str| match VARIABLES.iter().find(|variable| variable.name == name)?.preset {
            Text(text) => Some(text.to_owned()),
            _ => least(name),
        };
        let (with, without) = (Settings::read(&shown).unwrap(), Settings::read(&least).unwrap());
        assert_eq!(format!("{with:?}"), format!("{without:?}"));
    }

    #[test]
    fn the_example_and_the_documents_name_every_variable_and_no_other() {
        let example = include_str!("../../.env.example").lines().filter(|line| !line.starts_with('#'));
        let example: BTreeSet<String> =
            example.filter_map(|line| line.split_once('=')).map(|(name, _)| name.to_owned()).collect();
        let mut wanted = names();
        // For the compose file only.
        wanted.insert("POSTGRES_PASSWORD".to_owned());
        assert_eq!(example, wanted);

        let operations = include_str!("../../docs/operations.md");
        let (_, table) = operations.split_once("| variable | default | meaning |").unwrap();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let mut documented = BTreeSet::new();
        for row in rows {
            let mut first = String::new();
            for name in row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2) {
                match name.strip_prefix('…') {
                    // «PERSONAL_TELEGRAM_API_ID, …_API_HASH»
                    Some(rest) => drop(documented.insert(format!("PERSONAL_TELEGRAM{rest}"))),
                    None => first = name.to_owned(),
                }
            }
            documented.insert(first);
        }
        assert_eq!(documented, names());
    }

    #[test]
    fn the_example_lacks_nothing_but_secrets() {
        let example: Vec<(&str, &str)> = include_str!("../../.env.example")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once('='))
            .collect();
        let variable = |name: &str| {
            let value = example.iter().find(|(known, _)| *known == name)?.1;
            Some(value.trim_matches('"').to_owned())
        };
        let (settings, refused) = Settings::examine(&variable);
        assert_eq!(refused.0.iter().map(|refused| refused.name).collect::<Vec<_>>(), ["APP_SECRET", "JWT_SECRET"]);
        // What it names is the default.
        let (defaults, _) = Settings::examine(&|name| {
            example.iter().find(|(known, _)| *known == "DATABASE_URL" && name == *known).map(|(_, value)| (*value).to_owned())
        });
        assert_eq!(format!("{settings:?}"), format!("{defaults:?}"));
    }

    #[test]
    fn no_secret_is_shown() {
        let variable = |name: &str| match name {
            "PERSONAL_TELEGRAM_API_ID" => Some("5".into()),
            "PERSONAL_TELEGRAM_API_HASH" | "PERSONAL_TELEGRAM_SESSION_SECRET" | "PERSONAL_TELEGRAM_SESSION_SECRET_PREVIOUS" => {
                Some("geheim".into())
            }
            "REDIS_URL" => Some("redis://:geheim@redis/0".into()),
            "TELEGRAM_SIMULATOR" => Some("http://127.0.0.1:1".into()),
            "DEMO_OWNER" => Some("anna geheim".into()),
            "TELEGRAM_PROXY" => Some("socks5://anna:geheim@proxy:1080".into()),
            name => least(name),
        };
        let settings = Settings::read(&variable).unwrap();
        let shown = effective(&variable, &settings);
        assert!(!format!("{shown:?}").contains("geheim"), "{shown:?}");
        let value = |name: &str| shown.iter().find(|one| one.name == name).unwrap().value.clone().unwrap();
        assert_eq!(value("DATABASE_DIRECT_URL"), "postgresql://u:••••@db/tuberry");
        assert_eq!(value("REDIS_URL"), "redis://:••••@redis/0");
        assert_eq!(value("APP_SECRET"), "••••");
        assert_eq!(value("TELEGRAM_API_BASE"), "http://127.0.0.1:1");
    }

    #[test]
    fn a_url_is_shown_without_its_passwords() {
        for (url, shown) in [
            (
                "postgresql://u:p@h/d?sslmode=require&password=p&host=/run",
                "postgresql://u:••••@h/d?sslmode=require&password=••••&host=/run",
            ),
            ("postgresql://u:a/b@c:d@h/d", "postgresql://u:••••@h/d"),
            ("postgresql://u@h/d", "postgresql://u@h/d"),
            ("postgresql://u:geh?eim@h/d", "••••"),
            ("host=h password=p", "••••"),
        ] {
            assert_eq!(masked(url), shown);
        }
    }
}

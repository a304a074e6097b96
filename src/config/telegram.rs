//! Settings about Telegram: the real one or the simulator, and what we tell it about ourselves.

use super::{Environment, Refusals, Refused, without_slash};
use std::num::NonZeroU16;
use std::time::Duration;
use tuberry_domain::{Proxy, Secret};
use tuberry_telegram::Device;

/// Telegram's own Bot API.
pub(super) const BOT_API: &str = "https://api.telegram.org";

/// `PERSONAL_TELEGRAM_API_ID` and `PERSONAL_TELEGRAM_API_HASH`, from my.telegram.org.
#[derive(Clone, Debug)]
pub struct Application {
    /// `api_id`.
    pub id: i32,
    /// `api_hash`.
    pub hash: Secret<String>,
}

/// Where Telegram is and as what device we appear there.
#[derive(Clone, Debug)]
pub struct Telegram {
    /// `None`: the built-in application.
    pub application: Option<Application>,
    /// `TELEGRAM_SIMULATOR` without a trailing slash: the simulator instead of Telegram.
    pub simulator: Option<String>,
    /// Base of the Bot API without a trailing slash: `TELEGRAM_API_BASE`, else the simulator, else Telegram's own.
    pub bot_api_base: String,
    /// `TELEGRAM_PROXY`: the way of all accounts that have no proxy of their own, and of logins. Not the Bot API's.
    pub proxy: Option<Proxy>,
    /// `PERSONAL_TELEGRAM_QR_TIMEOUT`: how long a login may wait to be scanned.
    pub qr_timeout: Duration,
    /// `PERSONAL_TELEGRAM_DEVICE_MODEL`.
    pub device_model: String,
    /// `PERSONAL_TELEGRAM_SYSTEM_VERSION`.
    pub system_version: String,
    /// `PERSONAL_TELEGRAM_APP_VERSION`.
    pub app_version: String,
    /// `PERSONAL_TELEGRAM_LANG_CODE`.
    pub lang_code: String,
    /// `PERSONAL_TELEGRAM_SYSTEM_LANG_CODE`.
    pub system_lang_code: String,
}

impl Telegram {
    pub(super) fn examine(environment: &Environment<'_>, refused: &mut Refusals) -> Self {
        let text = |name: &str, default: String| environment.text(name).unwrap_or(default);
        let device = Device::default();
        let simulator = refused.or(simulator(environment), None);
        let own_base = refused.or(environment.http_url("TELEGRAM_API_BASE"), None).as_ref().map(without_slash);
        let patience = NonZeroU16::new(180).expect("not zero");
        let qr_timeout = environment.parsed("PERSONAL_TELEGRAM_QR_TIMEOUT", patience, "a number of seconds from 1 to 65535");
        Self {
            application: refused.or(application(environment), None),
            bot_api_base: own_base.or_else(|| simulator.clone()).unwrap_or_else(|| BOT_API.into()),
            simulator,
            proxy: refused.or(proxy(environment), None),
            qr_timeout: Duration::from_secs(refused.or(qr_timeout, patience).get().into()),
            device_model: text("PERSONAL_TELEGRAM_DEVICE_MODEL", device.model),
            system_version: text("PERSONAL_TELEGRAM_SYSTEM_VERSION", device.system_version),
            app_version: text("PERSONAL_TELEGRAM_APP_VERSION", device.app_version),
            lang_code: text("PERSONAL_TELEGRAM_LANG_CODE", device.lang_code),
            system_lang_code: text("PERSONAL_TELEGRAM_SYSTEM_LANG_CODE", device.system_lang_code),
        }
    }
}

fn application(environment: &Environment<'_>) -> Result<Option<Application>, Refused> {
    let id = environment.parsed("PERSONAL_TELEGRAM_API_ID", 0, "a number")?;
    match (id, environment.text("PERSONAL_TELEGRAM_API_HASH")) {
        (0, None) => Ok(None),
        (1.., Some(hash)) => Ok(Some(Application { id, hash: Secret::new(hash) })),
        (1.., None) => {
            Err(Refused { name: "PERSONAL_TELEGRAM_API_HASH", reason: "must be set with PERSONAL_TELEGRAM_API_ID".into() })
        }
        _ => Err(Refused { name: "PERSONAL_TELEGRAM_API_ID", reason: "must be set with PERSONAL_TELEGRAM_API_HASH".into() }),
    }
}

fn proxy(environment: &Environment<'_>) -> Result<Option<Proxy>, Refused> {
    const NAME: &str = "TELEGRAM_PROXY";
    let parse = |url: String| Proxy::parse(&url).map_err(|error| Refused { name: NAME, reason: error.to_string() });
    environment.text(NAME).map(parse).transpose()
}

/// The simulator takes any password and shows every message: only on loopback, unless somebody insists.
fn simulator(environment: &Environment<'_>) -> Result<Option<String>, Refused> {
    const NAME: &str = "TELEGRAM_SIMULATOR";
    let insists = match environment.text("ALLOW_SIMULATOR").as_deref() {
        None => false,
        Some("1") => true,
        Some(other) => {
            return Err(Refused { name: "ALLOW_SIMULATOR", reason: format!("expected 1 or nothing, found «{other}»") });
        }
    };
    let Some(url) = environment.http_url(NAME)? else { return Ok(None) };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if !loopback && !insists {
        return Err(Refused { name: NAME, reason: "only on loopback, unless ALLOW_SIMULATOR=1".into() });
    }
    Ok(Some(without_slash(&url)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Telegram, Refused> {
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let mut refused = Refusals::default();
        let telegram = Telegram::examine(&Environment(&variable), &mut refused);
        refused.settle(telegram).map_err(|mut refusals| refusals.0.pop().expect("one"))
    }

    #[test]
    fn the_simulator_runs_on_loopback_only_unless_somebody_insists() {
        for url in ["http://127.0.0.1:8081/", "http://localhost:8081", "http://[::1]:8081"] {
            assert!(read(&[("TELEGRAM_SIMULATOR", url)]).unwrap().simulator.is_some(), "{url}");
        }
        let elsewhere = ("TELEGRAM_SIMULATOR", "http://10.0.0.5:8081");
        assert_eq!(read(&[elsewhere]).unwrap_err().name, "TELEGRAM_SIMULATOR");
        assert!(read(&[elsewhere, ("ALLOW_SIMULATOR", "1")]).is_ok());
    }

    #[test]
    fn the_bot_api_is_where_telegram_is() {
        assert_eq!(read(&[]).unwrap().bot_api_base, "https://api.telegram.org");
        let simulator = ("TELEGRAM_SIMULATOR", "http://127.0.0.1:8081/");
        assert_eq!(read(&[simulator]).unwrap().bot_api_base, "http://127.0.0.1:8081");
        assert_eq!(read(&[simulator, ("TELEGRAM_API_BASE", "http://bot:1/")]).unwrap().bot_api_base, "http://bot:1");
    }

    #[test]
    fn a_proxy_is_read_and_a_wrong_one_refused_without_its_password() {
        let settings = read(&[("TELEGRAM_PROXY", "socks5://anna:geheim@proxy:1080")]).unwrap();
        assert_eq!(settings.proxy.as_ref().unwrap().to_string(), "proxy:1080");
        assert!(!format!("{settings:?}").contains("geheim"));
        let refused = read(&[("TELEGRAM_PROXY", "http://anna:geheim@proxy:1080")]).unwrap_err();
        assert!(refused.to_string().starts_with("TELEGRAM_PROXY: expected socks5://") && !refused.to_string().contains("geheim"));
    }

    #[test]
    fn half_an_application_is_refused() {
        assert_eq!(read(&[("PERSONAL_TELEGRAM_API_ID", "5")]).unwrap_err().name, "PERSONAL_TELEGRAM_API_HASH");
        assert_eq!(read(&[("PERSONAL_TELEGRAM_API_HASH", "x")]).unwrap_err().name, "PERSONAL_TELEGRAM_API_ID");
        let both = read(&[("PERSONAL_TELEGRAM_API_ID", "5"), ("PERSONAL_TELEGRAM_API_HASH", "x")]).unwrap();
        assert_eq!(both.application.unwrap().id, 5);
    }
}

//! Where Telegram is, and as what we introduce ourselves there: the real one, or the simulator.

use super::pace::Pace;
use super::simulator::SimulatorControl;
use super::timings::Timings;
use grammers_mtsender::{ConnectionParams, NoRetries};
use grammers_session::SessionData;
use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::num::{NonZeroU32, NonZeroUsize};
use tuberry_domain::session::AuthKey;
use tuberry_domain::{Proxy, Secret};

/// How many updates grammers keeps for us before it drops them; what is dropped is fetched again as a difference.
const UPDATES_CAPACITY: NonZeroUsize = NonZeroUsize::new(100).expect("not zero");

/// [`Network::with_pace`] where nobody said anything.
const CONNECTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(250).expect("not zero");

/// `api_id`s that stand in public sources.
const PUBLISHED: &[(i32, &str)] = &[
    (4, "Telegram for Android"),
    (6, "Telegram for Android"),
    (8, "Telegram for iOS"),
    (2040, "Telegram Desktop"),
    (17349, "the example in Telegram Desktop's sources"),
    (2834, "Telegram for macOS"),
    (21724, "Telegram X"),
    (2496, "Telegram Web Z"),
    (1025907, "Telegram Web K"),
    (94575, "TDLib's example"),
    (2899, "telegram-cli"),
];

/// The application's credentials (<https://my.telegram.org>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// `api_id`.
    pub id: i32,
    /// `api_hash`.
    pub hash: String,
}

impl Application {
    /// The given credentials, or, where they are empty (0 and ""), those that the official Android client has built in. Using
    /// these breaks Telegram's terms for third parties: warn whoever runs us ([`Application::published_as`]).
    pub fn or_official_client(id: i32, hash: &str) -> Self {
        match (id, hash.trim()) {
            (0, _) | (_, "") => Self { id: 6, hash: "eb06d4abfb49dc3eeb1aeb98ae0f581e".into() },
            (id, hash) => Self { id, hash: hash.to_owned() },
        }
    }

    /// Whose these are, where they are no own ones but published: built into one of Telegram's own clients, or an example that everybody copies.
    pub fn published_as(&self) -> Option<&'static str> {
        PUBLISHED.iter().find(|(id, _)| *id == self.id).map(|(_, whose)| *whose)
    }
}

/// What the account's owner sees in Telegram's list of devices (`initConnection`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are Telegram's own")]
pub struct Device {
    pub model: String,
    pub system_version: String,
    pub app_version: String,
    pub lang_code: String,
    pub system_lang_code: String,
}

impl Default for Device {
    fn default() -> Self {
        Self {
            model: "Samsung Galaxy S24 Ultra".into(),
            system_version: "Android 14 (API 34)".into(),
            app_version: "10.6.0-release".into(),
            lang_code: "ru".into(),
            system_lang_code: "ru".into(),
        }
    }
}

/// The simulator could not be used.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// It does not answer.
    #[error("the simulator does not answer: {0}")]
    Unreachable(#[from] reqwest::Error),
    /// It answered something else than promised.
    #[error("the simulator answered something unexpected")]
    BadAnswer,
}

/// One Telegram: addresses, credentials, device, clocks. Shared by everything that connects.
#[derive(Debug)]
pub struct Network {
    pub(crate) application: Application,
    pub(crate) timings: Timings,
    pub(crate) proxy: Option<Proxy>,
    pace: Pace,
    addresses: BTreeMap<i32, SocketAddrV4>,
    first_dc: i32,
    device: Device,
    simulator: Option<(SimulatorControl, String)>,
}

impl Network {
    /// The real Telegram.
    pub fn telegram(application: Application, device: Device) -> Self {
        let known = SessionData::default();
        let addresses = known.dc_options.values().map(|option| (option.id, option.ipv4)).collect();
        Self::new(application, addresses, known.home_dc, device, None)
    }

    /// The simulator whose HTTP address is `base`.
    pub async fn simulator(base: &str, application: Application, device: Device) -> Result<Self, NetworkError> {
        let control = SimulatorControl::new(base)?;
        let config = control.config().await?;
        let addresses: BTreeMap<_, _> = config.dcs.iter().map(|dc| dc.address()).collect();
        let first_dc = *addresses.keys().next().ok_or(NetworkError::BadAnswer)?;
        let simulator = Some((control, config.bot_api_base));
        Ok(Self::new(application, addresses, first_dc, device, simulator))
    }

    fn new(
        application: Application,
        addresses: BTreeMap<i32, SocketAddrV4>,
        first_dc: i32,
        device: Device,
        simulator: Option<(SimulatorControl, String)>,
    ) -> Self {
        let pace = Pace::new(CONNECTS_PER_SECOND);
        Self { application, timings: Timings::default(), proxy: None, pace, addresses, first_dc, device, simulator }
    }

    /// The same with other clocks.
    #[must_use]
    pub fn with_timings(self, timings: Timings) -> Self {
        Self { timings, ..self }
    }

    /// The same at another rate of connections, for all accounts of this process together.
    #[must_use]
    pub fn with_pace(self, connects_per_second: NonZeroU32) -> Self {
        Self { pace: Pace::new(connects_per_second), ..self }
    }

    /// The same behind a proxy, for all connections to Telegram's data centres that have none of their own.
    #[must_use]
    pub fn with_proxy(self, proxy: Option<Proxy>) -> Self {
        Self { proxy, ..self }
    }

    /// Waits until an account's connection may be made. Whoever opens a link waits here first; what a link loses later, it makes again in
    /// its turn by itself. Logins and log-outs do not wait: they are few, and somebody looks at the QR code.
    pub async fn turn(&self) {
        self.pace.turn().await;
    }

    /// Base URL of the simulator's Bot API; `None` for the real Telegram, whose address the configuration knows.
    pub fn bot_api_base(&self) -> Option<&str> {
        self.simulator.as_ref().map(|(_, base)| base.as_str())
    }

    /// Where a connection without a home goes first.
    pub fn first_address(&self) -> Option<SocketAddrV4> {
        self.addresses.get(&self.first_dc).copied()
    }

    /// The DC where logins begin.
    pub(crate) fn first_dc(&self) -> i32 {
        self.first_dc
    }

    pub(crate) fn addresses(&self) -> BTreeMap<i32, SocketAddrV4> {
        self.addresses.clone()
    }

    /// A fresh key for a DC; `None` where grammers makes one itself by the key exchange.
    pub(crate) async fn new_key(&self, dc: i32) -> Result<Option<AuthKey>, NetworkError> {
        match &self.simulator {
            None => Ok(None),
            Some((control, _)) => control.new_key(dc).await.map(Some),
        }
    }

    /// Every field is named, because grammers' default looks the operating system up in files each time.
    pub(crate) fn connection_params(&self, proxy_url: Option<&Secret<String>>) -> ConnectionParams {
        ConnectionParams {
            device_model: self.device.model.clone(),
            system_version: self.device.system_version.clone(),
            app_version: self.device.app_version.clone(),
            system_lang_code: self.device.system_lang_code.clone(),
            lang_code: self.device.lang_code.clone(),
            proxy_url: proxy_url.map(|url| url.expose().clone()),
            use_ipv6: false,
            retry_policy: Box::new(NoRetries),
            updates_channel_capacity: UPDATES_CAPACITY,
            __non_exhaustive: (),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_credentials_mean_the_official_clients() {
        for (id, hash) in [(0, ""), (0, "abc"), (7, " ")] {
            assert!(Application::or_official_client(id, hash).published_as().is_some());
        }
        let own = Application::or_official_client(7, "abc");
        assert_eq!((own.published_as(), own), (None, Application { id: 7, hash: "abc".into() }));
    }

    #[test]
    fn the_real_telegram_has_five_data_centres() {
        let network = Network::telegram(Application::or_official_client(0, ""), Device::default());
        assert_eq!(network.addresses().keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert_eq!((network.first_dc(), network.bot_api_base()), (2, None));
    }
}

//! A SOCKS5 proxy on the way to Telegram.

use crate::Secret;
use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};

/// `socks5://[user:password@]host:port`. `Debug` and `Display` show host and port only.
#[derive(Clone)]
pub struct Proxy {
    host: String,
    port: u16,
    /// `user:password`.
    credentials: Option<Secret<String>>,
}

/// The text does not name a proxy that can be used. Says nothing of the text itself, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProxy {
    /// Another scheme, no host, no port…
    #[error("expected socks5://user:password@host:port, or without the user and password")]
    Form,
    /// grammers hands user and password on as they stand in the URL, without decoding them.
    #[error("user and password of the proxy may hold letters, digits and -._~!$&'()*+, only, 1 to 255 of them")]
    Credentials,
}

impl Proxy {
    /// Reads the URL of a proxy.
    pub fn parse(text: &str) -> Result<Self, InvalidProxy> {
        let rest = text.trim().strip_prefix("socks5://").ok_or(InvalidProxy::Form)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (credentials, place) = match rest.rsplit_once('@') {
            Some((credentials, place)) => (Some(credentials), place),
            None => (None, rest),
        };
        let (host, port) = place.rsplit_once(':').ok_or(InvalidProxy::Form)?;
        let port = port.parse().ok().filter(|&port| port != 0).ok_or(InvalidProxy::Form)?;
        if !is_host(host) {
            return Err(InvalidProxy::Form);
        }
        let fits = |part: &str| (1..=255).contains(&part.len()) && part.bytes().all(stands_for_itself);
        let credentials = match credentials.map(|both| (both, both.split_once(':'))) {
            None => None,
            Some((both, Some((user, password)))) if fits(user) && fits(password) => Some(Secret::new(both.to_owned())),
            Some(_) => return Err(InvalidProxy::Credentials),
        };
        Ok(Self { host: host.to_owned(), port, credentials })
    }

    /// Host, without the brackets of an IPv6 address, and port.
    pub fn place(&self) -> (&str, u16) {
        (self.host.trim_matches(['[', ']']), self.port)
    }

    /// The whole URL.
    pub fn url(&self) -> Secret<String> {
        self.url_with(&self.to_string())
    }

    /// The URL with the host's address in its place.
    pub fn url_at(&self, address: SocketAddr) -> Secret<String> {
        self.url_with(&address.to_string())
    }

    fn url_with(&self, place: &str) -> Secret<String> {
        Secret::new(match &self.credentials {
            Some(credentials) => format!("socks5://{}@{place}", credentials.expose()),
            None => format!("socks5://{place}"),
        })
    }
}

/// Characters that no URL encodes in the place of user and password.
fn stands_for_itself(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,".contains(&byte)
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            (1..=253).contains(&host.len())
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
        }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_shown_without_its_password_and_keeps_it() {
        let proxy = Proxy::parse(" socks5://anna:geheim.1@proxy.example:1080/ ").unwrap();
        assert_eq!(
            (proxy.to_string().as_str(), format!("{proxy:?}").as_str()),
            ("proxy.example:1080", "Proxy(proxy.example:1080)")
        );
        assert_eq!(proxy.url().expose(), "socks5://anna:geheim.1@proxy.example:1080");
        assert_eq!(proxy.url_at("10.0.0.1:1080".parse().unwrap()).expose(), "socks5://anna:geheim.1@10.0.0.1:1080");
        let plain = Proxy::parse("socks5://[::1]:9").unwrap();
        assert_eq!((plain.place(), plain.url().expose().as_str()), (("::1", 9), "socks5://[::1]:9"));
    }

    #[test]
    fn what_could_not_be_used_is_refused_without_being_told() {
        for text in [
            "",
            "proxy:1080",
            "http://p:1",
            "socks4://p:1",
            "socks5://p",
            "socks5://:1080",
            "socks5://p:0",
            "socks5://p:99999",
            "socks5://p:1/x",
            "socks5://[::g]:1",
            "socks5://a b:1",
        ] {
            assert_eq!(Proxy::parse(text).unwrap_err(), InvalidProxy::Form, "{text}");
        }
        for text in ["anna", ":x", "anna:", "anna:a%40b", "anna:a@b", "анна:x", "anna:a:b"] {
            let error = Proxy::parse(&format!("socks5://{text}@p:1")).unwrap_err();
            assert_eq!(error, InvalidProxy::Credentials, "{text}");
        }
    }
}

//! People: names, where their account lives, how they are found, and their mailbox.

use super::World;
use super::mailbox::Mailbox;
use crate::mtproto::srp::Verifier;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Telegram's own account, which sends login codes and notices.
pub const TELEGRAM_SERVICE: i64 = 777_000;

/// The most people in a world.
const LIMIT: usize = 100_000;

/// A person with a Telegram account.
#[derive(Serialize, Deserialize)]
pub struct User {
    /// Telegram's user id.
    pub id: i64,
    /// Never empty.
    pub first_name: String,
    /// May be missing.
    pub last_name: Option<String>,
    /// Without `@`.
    pub username: Option<String>,
    /// Digits, without `+`.
    pub phone: Option<String>,
    /// The data centre that holds the account: 2 or 4.
    pub home_dc: i32,
    /// The second factor, if the account has one.
    pub password: Option<Password>,
    /// Messages of private chats and basic groups.
    pub mailbox: Mailbox,
}

/// A 2FA password: what the server keeps of it, and the hint that it shows.
#[derive(Serialize, Deserialize)]
pub struct Password {
    /// The SRP verifier; the password itself is not kept.
    pub verifier: Verifier,
    /// Shown to whoever is asked for the password.
    pub hint: Option<String>,
}

/// A user to be created.
#[derive(Default)]
pub struct NewUser {
    /// Never empty.
    pub first_name: String,
    /// May be missing.
    pub last_name: Option<String>,
    /// With or without `@`.
    pub username: Option<String>,
    /// With or without `+` and spaces.
    pub phone: Option<String>,
    /// 2 or 4; none: 4.
    pub dc: Option<i32>,
    /// The second factor.
    pub password: Option<Password>,
}

impl World {
    /// The user, if there is one.
    pub fn user(&self, id: i64) -> Option<&User> {
        self.users.get(&id)
    }

    /// Creates a user. Errors: `FIRSTNAME_INVALID`, `USERNAME_INVALID`, `USERNAME_OCCUPIED`, `PHONE_NUMBER_OCCUPIED`,
    /// `DC_ID_INVALID`, `USERS_TOO_MUCH`.
    pub fn add_user(&mut self, new: NewUser) -> Result<i64, &'static str> {
        let first_name = new.first_name.trim().to_owned();
        if first_name.is_empty() || first_name.chars().count() > 64 {
            return Err("FIRSTNAME_INVALID");
        }
        let username = new.username.map(|name| name.trim_start_matches('@').to_owned()).filter(|name| !name.is_empty());
        if let Some(name) = &username {
            if name.len() > 32 || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err("USERNAME_INVALID");
            }
            if self.user_by_username(name).is_some() {
                return Err("USERNAME_OCCUPIED");
            }
        }
        let phone = new.phone.map(|phone| digits(&phone)).filter(|phone| !phone.is_empty());
        if phone.as_deref().is_some_and(|phone| self.user_by_phone(phone).is_some()) {
            return Err("PHONE_NUMBER_OCCUPIED");
        }
        let home_dc = new.dc.unwrap_or(4);
        if !matches!(home_dc, 2 | 4) {
            return Err("DC_ID_INVALID");
        }
        if self.users.len() >= LIMIT {
            return Err("USERS_TOO_MUCH");
        }
        let id = self.ids.next_user();
        let last_name = new.last_name.filter(|name| !name.is_empty());
        let mailbox = Mailbox::default();
        self.users.insert(id, User { id, first_name, last_name, username, phone, home_dc, password: new.password, mailbox });
        self.touch();
        Ok(id)
    }

    /// The user with this `@name`, whatever its case.
    pub fn user_by_username(&self, name: &str) -> Option<&User> {
        self.users.values().find(|user| user.username.as_deref().is_some_and(|have| have.eq_ignore_ascii_case(name)))
    }

    /// The user with this phone number.
    pub fn user_by_phone(&self, phone: &str) -> Option<&User> {
        let phone = digits(phone);
        self.users.values().find(|user| user.phone.as_deref() == Some(&phone))
    }

    /// The access hash by which `viewer` may name the user or channel `target` (marked). As in Telegram, another viewer's hash of
    /// the same target is worth nothing.
    pub fn access_hash(&self, viewer: i64, target: i64) -> i64 {
        let mut hash = Sha256::new();
        hash.update(self.secret.0);
        hash.update(viewer.to_le_bytes());
        hash.update(target.to_le_bytes());
        let digest = hash.finalize();
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest[..8]);
        i64::from_le_bytes(bytes)
    }
}

fn digits(phone: &str) -> String {
    phone.chars().filter(char::is_ascii_digit).take(20).collect()
}

/// Telegram's service account, which every world has.
pub fn service_account() -> User {
    User {
        id: TELEGRAM_SERVICE,
        first_name: "Telegram".into(),
        last_name: None,
        username: None,
        phone: Some("42777".into()),
        home_dc: 2,
        password: None,
        mailbox: Mailbox::default(),
    }
}

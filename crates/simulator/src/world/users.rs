//! People: names, where their account lives, and how they are found.

use super::World;
use serde::{Deserialize, Serialize};

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
}

impl World {
    /// The user, if there is one.
    pub fn user(&self, id: i64) -> Option<&User> {
        self.users.get(&id)
    }
}

//! The portal as people see it: a real Chromium before real processes. Screenshots of what they see are in `target/screenshots`.

mod accounts;
mod browser;
mod logins;
mod settings;
mod sign_in;

use browser::Browser;

/// The password of the users that these tests make.
const PASSWORD: &str = "correct horse battery";

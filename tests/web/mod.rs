//! The portal: its pages over HTTP (`pages`), and as people see it: a real Chromium before real processes. Screenshots of what they see are in
//! `target/screenshots`.

mod accounts;
mod browser;
mod conversations;
mod demo;
mod logins;
mod pages;
mod queue_pages;
mod readme;
mod settings;
mod sign_in;
mod visit;
mod words;

use browser::Browser;

/// The password of the users that these tests make.
const PASSWORD: &str = "correct horse battery";

//! Which accounts this process owns: claims on their keys, an even share of them, and one connection for each.
//!
//! - [`Claims`] holds advisory locks and leases (`claim`, `lock_session`, `dial`, `held`, `taking` by the rules of `takeover`).
//! - [`Fleet`] keeps the accounts of this worker connected (`supervisor`, `share`, `connection`).
//! - [`Links`] are the connections as jobs use them.

mod boot_clock;
mod claim;
mod connection;
mod dial;
mod held;
mod links;
mod lock_session;
#[cfg(test)]
mod model;
mod share;
mod supervisor;
mod takeover;
mod taking;

pub use claim::{ClaimResults, Claims, Unfit};
pub use held::{Standing, not_in_force};
pub use links::Links;
pub use supervisor::{Census, Fleet, Parts};

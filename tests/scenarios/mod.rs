//! The whole product in real processes, step by step and under faults. The simulator judges: what arrived, in which order, how often, and whether
//! any authorization key was ever used twice.

mod bot_updates;
mod bridge;
mod bridge_kills;
mod bridge_kit;
mod bridge_outages;
mod chaos;
pub mod conversation;
mod delivery;
mod fleet_claims;
mod fleet_cut_off;
mod fleet_fences;
mod fleet_shares;
mod fleet_workers;
mod login;
mod login_kills;
mod observability;
mod proxies;
mod restrictions;
mod revoked;

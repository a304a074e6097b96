//! `/api/personal-telegram-accounts`: the connected accounts.

mod delete;
mod list;
mod proxy;
mod update;

pub(super) use delete::delete;
pub(super) use list::list;
pub(super) use proxy::{remove_proxy, set_proxy};
pub(super) use update::update;

use super::Problem;

fn unknown() -> Problem {
    Problem::not_found("Аккаунт не найден")
}

//! `/api/personal-telegram-accounts`: the connected accounts.

mod delete;
mod list;
mod proxy;
mod update;

pub(super) use delete::{__path_delete, delete};
pub(super) use list::{__path_list, list};
pub(super) use proxy::{__path_remove_proxy, __path_set_proxy, remove_proxy, set_proxy};
pub(super) use update::{__path_update, update};

use super::Problem;

fn unknown() -> Problem {
    Problem::not_found("Аккаунт не найден")
}

//! `/api/projects`: what an owner groups accounts and a managing bot by.

mod create;
mod read;
mod update;

pub(super) use create::{__path_create, create};
pub(super) use read::{__path_list, __path_read, list, read};
pub(super) use update::{__path_update, update};

use super::Problem;
use super::extract::line;
use tuberry_domain::{BotId, ClientId, ProjectId};
use tuberry_storage::{Tx, bots, projects};

fn unknown() -> Problem {
    Problem::not_found("Проект не найден")
}

fn name(text: &str) -> Result<String, Problem> {
    let name = line(text, 255)?;
    if name.is_empty() { Err(Problem::invalid("Название не может быть пустым")) } else { Ok(name) }
}

/// Locks a bot of the tenant, before the project that is to be bound to it.
async fn lock_bot(tx: &mut Tx, client: ClientId, bot: BotId) -> Result<(), Problem> {
    match bots::lock(tx, client, bot).await? {
        true => Ok(()),
        false => Err(Problem::not_found("Бот не найден")),
    }
}

/// Binds a locked bot.
async fn bind_bot(tx: &mut Tx, project: ProjectId, bot: BotId) -> Result<(), Problem> {
    match projects::bind_bot(tx, project, bot).await? {
        true => Ok(()),
        false => Err(Problem::conflict("Бот уже подключён к другому проекту")),
    }
}

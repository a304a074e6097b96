//! `/api/projects`: what an owner groups accounts and a managing bot by.

mod create;
mod read;
mod update;

pub(super) use create::create;
pub(super) use read::{list, read};
pub(super) use update::update;

use super::extract::line;
use super::{AppState, Problem};
use tuberry_domain::{BotId, ClientId, ProjectId};
use tuberry_storage::{Tx, bots, projects};

fn unknown() -> Problem {
    Problem::not_found("Проект не найден")
}

fn name(text: &str) -> Result<String, Problem> {
    let name = line(text, 255)?;
    if name.is_empty() { Err(Problem::invalid("Название не может быть пустым")) } else { Ok(name) }
}

/// Binds a bot of the tenant, or none.
async fn bind_bot(
    state: &AppState,
    tx: &mut Tx,
    client: ClientId,
    project: ProjectId,
    bot: Option<BotId>,
) -> Result<(), Problem> {
    if let Some(bot) = bot {
        let known = bots::find(state.store.pool(), client, bot).await?;
        known.ok_or_else(|| Problem::not_found("Бот не найден"))?;
    }
    match projects::bind_bot(tx, project, bot).await? {
        true => Ok(()),
        false => Err(Problem::conflict("Бот уже подключён к другому проекту")),
    }
}

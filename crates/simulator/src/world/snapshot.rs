//! Keeps the world in a file: written whole, next to the old one, and put in its place at once, soon after every change.

use super::{Shared, World};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The least time between two snapshots. A big world waits longer, so that saving takes no more than a tenth of the time.
const PERIOD: Duration = Duration::from_millis(200);
/// Numbers left out after an end without the last snapshot, so that none that was given out comes again.
const GAP: i32 = 10_000;

#[derive(Deserialize)]
struct Loaded {
    clean: bool,
    world: World,
}

#[derive(Serialize)]
struct Saved<'a> {
    clean: bool,
    world: &'a World,
}

fn file(dir: &Path) -> PathBuf {
    dir.join("world.json")
}

/// The world of an earlier run, or a new one. After a kill the numbers of messages and events leave a gap.
pub fn load(dir: &Path) -> anyhow::Result<World> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let text = match std::fs::read(file(dir)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(World::default()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file(dir).display())),
    };
    let Loaded { clean, mut world } =
        serde_json::from_slice(&text).with_context(|| format!("{} is damaged", file(dir).display()))?;
    if !clean {
        let people = world.users.values_mut().map(|user| &mut user.mailbox);
        let chats = world.chats.values_mut().map(|chat| &mut chat.mailbox);
        people.chain(chats).for_each(|mailbox| mailbox.skip_ahead(GAP));
        world.ids.skip_ahead(GAP);
    }
    Ok(world)
}

/// Saves after changes until `stop`, then once more, marked as clean.
pub fn keep(shared: Shared, dir: PathBuf, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut changes = shared.changes();
        loop {
            let stopped = tokio::select! {
                changed = changes.changed() => changed.is_err(),
                () = stop.cancelled() => true,
            };
            if stopped {
                break;
            }
            let began = Instant::now();
            changes.mark_unchanged();
            save(&shared, &dir, false).await;
            let pause = PERIOD.max(began.elapsed() * 10);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
        save(&shared, &dir, true).await;
    })
}

async fn save(shared: &Shared, dir: &Path, clean: bool) {
    let (shared, dir) = (shared.clone(), dir.to_owned());
    let written = tokio::task::spawn_blocking(move || {
        let text = serde_json::to_vec(&Saved { clean, world: &shared.lock() }).context("cannot serialise the world")?;
        let new = dir.join("world.json.new");
        std::fs::write(&new, text).with_context(|| format!("cannot write {}", new.display()))?;
        std::fs::rename(&new, file(&dir)).context("cannot replace the snapshot")
    });
    match written.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(error = format!("{error:#}"), "snapshot"),
        Err(error) => tracing::error!(%error, "snapshot"),
    }
}

//! The lists in Redis, and the one process that may take from them: every step is a script that first looks whether this is still us.

use super::{LinkError, PATIENCE, connect};
use redis::aio::MultiplexedConnection;
use redis::{Client, Cmd, FromRedisValue};
use tokio::time::timeout;

/// The list of elements that wait.
pub const TASKS: &str = "tuberry:personal:tasks";
/// The list of those that could not be carried out.
pub const DEAD: &str = "tuberry:personal:dead";
/// Holds the token of the session that may take.
const HOLDER: &str = "tuberry:personal:holder";
const PROCESSING: &str = "tuberry:personal:processing:";

/// How many elements are taken at once.
const BATCH: usize = 100;
/// Above so many bytes no further element joins a batch.
const BATCH_BYTES: usize = 2 << 20;
/// The largest element that is read, in bytes.
pub(super) const LARGEST: usize = 1 << 20;
/// What is kept of a larger one.
const REST: usize = 4096;

/// Moves elements from the head of the tasks to the end of a processing list: what they are, and how long.
const TAKE: &str = "
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end
local elements, lengths, total = {}, {}, 0
while #elements < tonumber(ARGV[2]) and total < tonumber(ARGV[3]) do
  local element = redis.call('LPOP', KEYS[2])
  if not element then break end
  redis.call('RPUSH', KEYS[3], element)
  local length = #element
  if length > tonumber(ARGV[4]) then element = string.sub(element, 1, tonumber(ARGV[5])) end
  elements[#elements + 1], lengths[#lengths + 1], total = element, length, total + #element
end
return {elements, lengths}";

/// Removes elements from the head of a processing list, and adds dead letters.
const FINISH: &str = "
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end
for letter = 3, #ARGV do redis.call('RPUSH', KEYS[3], ARGV[letter]) end
redis.call('LTRIM', KEYS[2], ARGV[2], -1)
return 1";

/// Moves everything from a processing list back to the head of the tasks, in its order.
const RECOVER: &str = "
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end
if redis.call('TYPE', KEYS[3]).ok ~= 'list' then return 0 end
local moved = 0
while true do
  local element = redis.call('RPOP', KEYS[3])
  if not element then return moved end
  redis.call('LPUSH', KEYS[2], element)
  moved = moved + 1
end";

/// A step that was not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum StepError {
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Another session has taken over, or the token is gone.
    #[error("another session takes the elements")]
    NotHolder,
}

/// An element as it was taken.
#[derive(Debug)]
pub(super) struct Element {
    /// The bytes; of a large one only the beginning.
    pub bytes: Vec<u8>,
    /// How long it is.
    pub length: usize,
}

impl Element {
    /// It is longer than what is read of it.
    pub fn too_large(&self) -> bool {
        self.length > LARGEST
    }
}

/// A connection to Redis.
pub(super) struct Lists {
    connection: MultiplexedConnection,
    /// This process' processing list.
    processing: String,
    /// Unique per session: a step that an earlier one left in a frozen Redis does nothing when it is carried out at last.
    token: String,
}

impl Lists {
    /// Connects.
    pub async fn open(client: &Client, worker: &str) -> Result<Self, LinkError> {
        let connection = connect(client).await?;
        Ok(Self { connection, processing: format!("{PROCESSING}{worker}"), token: ulid::Ulid::new().to_string() })
    }

    /// Whether Redis answers.
    pub async fn ping(&mut self) -> Result<(), LinkError> {
        self.ask(&redis::cmd("PING")).await
    }

    /// Becomes the one session that may take, and puts back whatever another one had taken. Returns how many elements that were.
    pub async fn take_over(&mut self) -> Result<u64, StepError> {
        let mut set = redis::cmd("SET");
        set.arg(HOLDER).arg(&self.token);
        self.ask::<()>(&set).await?;
        // From here on no list of another session grows.
        let mut recovered = 0;
        for list in self.processing_lists().await? {
            let mut step = self.step(RECOVER, [TASKS, &list]);
            step.arg(&self.token);
            recovered += self.made::<u64>(&step).await?;
        }
        Ok(recovered)
    }

    async fn processing_lists(&mut self) -> Result<Vec<String>, LinkError> {
        let (mut cursor, mut lists) = (0_u64, Vec::new());
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(format!("{PROCESSING}*")).arg("COUNT").arg(1000);
            let (next, found): (u64, Vec<String>) = self.ask(&scan).await?;
            lists.extend(found);
            if next == 0 {
                lists.sort_unstable();
                lists.dedup();
                return Ok(lists);
            }
            cursor = next;
        }
    }

    /// Takes a batch, in order. It stands in the processing list until [`Lists::finish`].
    pub async fn take(&mut self) -> Result<Vec<Element>, StepError> {
        let mut step = self.step(TAKE, [TASKS, &self.processing]);
        step.arg(&self.token).arg(BATCH).arg(BATCH_BYTES).arg(LARGEST).arg(REST);
        let (elements, lengths): (Vec<Vec<u8>>, Vec<usize>) = self.made(&step).await?;
        Ok(elements.into_iter().zip(lengths).map(|(bytes, length)| Element { bytes, length }).collect())
    }

    /// Removes the first `count` elements that were taken, and adds dead letters, in one step.
    pub async fn finish(&mut self, count: usize, dead: &[String]) -> Result<(), StepError> {
        let mut step = self.step(FINISH, [&self.processing, DEAD]);
        step.arg(&self.token).arg(count).arg(dead);
        self.made::<u64>(&step).await.map(drop)
    }

    /// How many elements wait.
    pub async fn backlog(&mut self) -> Result<u64, LinkError> {
        let mut length = redis::cmd("LLEN");
        length.arg(TASKS);
        self.ask(&length).await
    }

    fn step(&self, script: &str, lists: [&str; 2]) -> Cmd {
        let mut step = redis::cmd("EVAL");
        step.arg(script).arg(3).arg(HOLDER).arg(&lists);
        step
    }

    /// Makes a step; a script answers nil when we are not the holder.
    async fn made<T: FromRedisValue>(&mut self, step: &Cmd) -> Result<T, StepError> {
        self.ask::<Option<T>>(step).await?.ok_or(StepError::NotHolder)
    }

    async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, LinkError> {
        let answer = timeout(PATIENCE, command.query_async(&mut self.connection)).await;
        Ok(answer.map_err(|_| LinkError::Silent)??)
    }
}

#[cfg(test)]
mod tests;

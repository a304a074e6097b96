//! Writes jobs into the caller's transaction, a batch in one statement, and asks the transaction to wake the queue after its commit.

use super::statements;
use crate::job::{Job, Unique, When};
use crate::origin::Origin;
use tuberry_storage::{Result, Store, Tx};

/// One batch in the column form that `queue.enqueue` takes.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub ids: Vec<String>,
    pub payloads: Vec<Vec<u8>>,
    pub ordering_keys: Vec<Option<String>>,
    pub lanes: Vec<String>,
    pub unique_scopes: Vec<i16>,
    pub unique_keys: Vec<Option<String>>,
    pub priorities: Vec<i32>,
    /// Kinds of subjects as `queue.whose` numbers them, and their ids.
    pub subjects: (Vec<i16>, Vec<i32>),
    /// Names and values in turn, the same for all.
    pub metadata: Vec<String>,
}

impl Rows {
    fn of<'a, C, J: Job<C>>(jobs: impl IntoIterator<Item = &'a J>) -> Result<Self> {
        let mut rows = Self::default();
        for job in jobs {
            let payload = serde_json::to_vec(job).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
            rows.ids.push(ulid::Ulid::new().to_string());
            rows.payloads.push(payload);
            rows.ordering_keys.push(job.ordering_key());
            rows.lanes.push(job.affinity().map(|account| account.to_string()).unwrap_or_default());
            let (scope, key) = match job.unique_key() {
                None => (0, None),
                Some(Unique::WhileWaiting(key)) => (1, Some(key)),
                Some(Unique::WhileLive(key)) => (2, Some(key)),
                Some(Unique::ForEver(key)) => (3, Some(key)),
            };
            rows.unique_scopes.push(scope);
            rows.unique_keys.push(key);
            rows.priorities.push(job.priority().into());
            let (what, id) = job.subject().numbers();
            rows.subjects.0.push(what);
            rows.subjects.1.push(id);
        }
        rows.metadata = Origin::current().map(|origin| origin.to_metadata()).unwrap_or_default();
        Ok(rows)
    }

    /// One job without a unique key, as most are.
    fn is_plain(&self) -> bool {
        self.unique_scopes == [0]
    }
}

/// Inserts `jobs` in their order; tells how many were new.
pub(crate) async fn insert<'a, C, J: Job<C>>(tx: &mut Tx, jobs: impl IntoIterator<Item = &'a J>, when: When) -> Result<u64> {
    let rows = Rows::of(jobs)?;
    if rows.ids.is_empty() {
        return Ok(0);
    }
    if rows.is_plain() {
        if let Some(key) = &rows.ordering_keys[0] {
            statements::lock_key(tx.conn(), key).await?;
        }
        if let Some(wake_up) = statements::enqueue_one(tx.conn(), J::KIND, &J::POLICY, &rows, when).await? {
            tx.wake_after_commit(&wake_up);
        }
        return Ok(1);
    }
    let (inserted, wake_ups) = statements::enqueue(tx.conn(), J::KIND, &J::POLICY, &rows, when).await?;
    for wake_up in &wake_ups {
        tx.wake_after_commit(wake_up);
    }
    Ok(inserted)
}

/// Inserts one job in a transaction of its own.
pub(crate) async fn insert_alone<C, J: Job<C>>(store: &Store, job: &J) -> Result<bool> {
    let rows = Rows::of([job])?;
    if rows.is_plain() && rows.ordering_keys[0].is_none() {
        let wake_up = statements::enqueue_one(store.pool(), J::KIND, &J::POLICY, &rows, When::Now).await?;
        store.wake(wake_up.as_slice());
        return Ok(true);
    }
    let mut tx = store.begin().await?;
    let inserted = insert(&mut tx, [job], When::Now).await?;
    tx.commit().await?;
    Ok(inserted == 1)
}

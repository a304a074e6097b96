//! Writes jobs into the caller's transaction, a batch in one statement, and asks the transaction to wake the queue after its commit.

use super::statements;
use crate::job::{Job, Unique, When};
use crate::origin::Origin;
use tuberry_storage::{Result, Tx};

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

/// Inserts `jobs` in their order; tells how many were new.
pub(crate) async fn insert<'a, C, J: Job<C>>(tx: &mut Tx, jobs: impl IntoIterator<Item = &'a J>, when: When) -> Result<u64> {
    let mut rows = Rows::default();
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
        rows.priorities.push(job.priority());
        let (what, id) = job.subject().numbers();
        rows.subjects.0.push(what);
        rows.subjects.1.push(id);
    }
    if rows.ids.is_empty() {
        return Ok(0);
    }
    rows.metadata = Origin::current().map(|origin| origin.to_metadata()).unwrap_or_default();
    let (inserted, wake_ups) = statements::enqueue(tx.conn(), J::KIND, &J::POLICY, &rows, when).await?;
    for wake_up in &wake_ups {
        tx.wake_after_commit(wake_up);
    }
    Ok(inserted)
}

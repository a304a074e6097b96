//! `GET /api/jobs[?kind=&state=&account_id=&dialog_id=&ordering_key=&error=&since=&until=&cursor=&limit=]`: the latest first.

use super::is_job_id;
use crate::http::auth::JobsReach;
use crate::http::extract::Params;
use crate::http::page::{Page, PageParams, Position};
use crate::http::{AppState, Problem};
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use tuberry_jobs::queue::pages::{self, Filter, Listed};

/// A filter as requests write it.
#[derive(Debug, Default, Deserialize)]
pub(in crate::http) struct Wanted {
    kind: Option<String>,
    state: Option<pages::State>,
    account_id: Option<i32>,
    dialog_id: Option<i32>,
    ordering_key: Option<String>,
    error: Option<String>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
}

impl Wanted {
    /// An empty text is no filter.
    pub(super) fn filter(self) -> Filter {
        let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        Filter {
            kind: given(self.kind),
            state: self.state,
            account: self.account_id,
            dialog: self.dialog_id,
            ordering_key: given(self.ordering_key),
            error: given(self.error),
            since: self.since,
            until: self.until,
        }
    }
}

/// One page of jobs.
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    JobsReach(hand): JobsReach,
    Params(wanted): Params<Wanted>,
    Params(page): Params<PageParams>,
) -> Result<Json<Page<Listed>>, Problem> {
    let (after, limit) = (page.position::<JobPosition>()?, page.limit()?);
    let after = after.as_ref().map(|position| position.0.as_str());
    let jobs = pages::list(state.store.pool(), hand.client, &wanted.filter(), after, limit + 1).await?;
    Ok(Json(Page::cut(jobs, limit, |job| JobPosition(job.id.clone()))))
}

/// A job's id, which sorts by time.
struct JobPosition(String);

impl Position for JobPosition {
    fn to_cursor(&self) -> String {
        self.0.clone()
    }

    fn from_cursor(text: &str) -> Option<Self> {
        is_job_id(text).then(|| Self(text.to_owned()))
    }
}

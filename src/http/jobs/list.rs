//! `GET /api/jobs[?kind=&state=&account_id=&dialog_id=&ordering_key=&error=&since=&until=&cursor=&limit=]`: the latest first.

use super::{is_job_id, is_kind};
use crate::http::auth::JobsReach;
use crate::http::extract::{Params, RowId, line};
use crate::http::page::{Page, PageParams, Position};
use crate::http::{AppState, Problem};
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use tuberry_jobs::queue::pages::{self, Filter, Listed};
use utoipa::ToSchema;

/// Which jobs. What is not given, or empty, does not matter.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[schema(as = JobFilter)]
pub(in crate::http) struct Wanted {
    /// Of this kind.
    #[param(pattern = "^[a-z0-9-]*$", max_length = 64)]
    #[schema(pattern = "^[a-z0-9-]*$", max_length = 64, example = "mirror-message")]
    kind: Option<String>,
    /// In this state.
    state: Option<pages::State>,
    /// About this account.
    #[param(value_type = Option<i32>, minimum = 1)]
    #[schema(value_type = Option<i32>, minimum = 1, example = 1)]
    account_id: Option<RowId<i32>>,
    /// About this dialog.
    #[param(value_type = Option<i32>, minimum = 1)]
    #[schema(value_type = Option<i32>, minimum = 1, example = 7)]
    dialog_id: Option<RowId<i32>>,
    /// With this ordering key.
    #[param(max_length = 200, pattern = "^[^\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\x7F-\\x9F]*$")]
    #[schema(max_length = 200, pattern = "^[^\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\x7F-\\x9F]*$", example = "mirror:7")]
    ordering_key: Option<String>,
    /// With this text in the last error.
    #[param(max_length = 200, pattern = "^[^\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\x7F-\\x9F]*$")]
    #[schema(max_length = 200, pattern = "^[^\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\x7F-\\x9F]*$", example = "FLOOD_WAIT")]
    error: Option<String>,
    /// Enqueued at this time or later.
    since: Option<DateTime<Utc>>,
    /// Enqueued before this time.
    until: Option<DateTime<Utc>>,
}

impl Wanted {
    /// An empty text is no filter; 422 for one that no job can have.
    pub(super) fn filter(self) -> Result<Filter, Problem> {
        let given = |text: Option<String>| {
            let text = text.map(|text| line(&text, 200)).transpose()?;
            Ok::<_, Problem>(text.filter(|text| !text.is_empty()))
        };
        let kind = given(self.kind)?;
        if kind.as_deref().is_some_and(|kind| !is_kind(kind)) {
            return Err(Problem::invalid("Такого вида заданий нет"));
        }
        Ok(Filter {
            kind,
            state: self.state,
            account: self.account_id.map(|id| id.0),
            dialog: self.dialog_id.map(|id| id.0),
            ordering_key: given(self.ordering_key)?,
            error: given(self.error)?,
            since: self.since,
            until: self.until,
        })
    }
}

/// Lists jobs, the latest first.
#[utoipa::path(
    get,
    path = "/api/jobs",
    operation_id = "list_jobs",
    tag = "jobs",
    params(Wanted, PageParams),
    responses(
        (status = 200, description = "One page.", body = Page<Listed>),
    )
)]
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    JobsReach(hand): JobsReach,
    Params(wanted): Params<Wanted>,
    Params(page): Params<PageParams>,
) -> Result<Json<Page<Listed>>, Problem> {
    let (after, limit) = (page.position::<JobPosition>()?, page.limit()?);
    let after = after.as_ref().map(|position| position.0.as_str());
    let jobs = pages::list(state.store.pool(), hand.client, &wanted.filter()?, after, limit + 1).await?;
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

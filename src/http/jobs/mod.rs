//! `/api/jobs`: what the queue does, and hands on it. The platform's administrator sees and touches all jobs, owners and admins those of their
//! tenant. Every action leaves an audit row.

mod cancel;
mod delete;
mod kinds;
mod list;
mod pause;
mod read;
mod retry;
mod run_now;

pub(super) use cancel::cancel;
pub(super) use delete::delete;
pub(super) use kinds::kinds;
pub(super) use list::list;
pub(super) use pause::{pause, resume};
pub(super) use read::read;
pub(super) use retry::{retry, retry_all};
pub(super) use run_now::run_now;

use super::Problem;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

/// The `{id}` of a job: a ULID. What cannot be one names nothing: 404.
#[derive(Debug)]
pub(super) struct JobId(String);

impl<S: Send + Sync> FromRequestParts<S> for JobId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| no_such_job())?;
        if is_job_id(&text) { Ok(Self(text)) } else { Err(no_such_job()) }
    }
}

fn is_job_id(text: &str) -> bool {
    text.len() == 26 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// 404, also for another tenant's.
fn no_such_job() -> Problem {
    Problem::not_found("Задание не найдено")
}

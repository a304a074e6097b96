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

pub(super) use cancel::{__path_cancel, cancel};
pub(super) use delete::{__path_delete, delete};
pub(super) use kinds::{__path_kinds, kinds};
pub(super) use list::{__path_list, list};
pub(super) use pause::{__path_pause, __path_resume, pause, resume};
pub(super) use read::{__path_read, read};
pub(super) use retry::{__path_retry, __path_retry_all, retry, retry_all};
pub(super) use run_now::{__path_run_now, run_now};

use super::Problem;
use super::extract::in_path;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use tuberry_jobs::queue::pages::is_job_id;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

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

impl IntoParams for JobId {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![in_path("id", ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9A-Za-z]{26}$")))]
    }
}

/// Whether a job can be of such a kind.
fn is_kind(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// 404, also for another tenant's.
fn no_such_job() -> Problem {
    Problem::not_found("Задание не найдено")
}

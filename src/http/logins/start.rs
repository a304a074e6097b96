//! `POST /api/personal-telegram-accounts/login`: writes the login and its first job, then waits for the QR code.

use super::{current_url, wait_while};
use crate::http::auth::Tenant;
use crate::http::extract::{Json, RowId};
use crate::http::{AppState, Problem};
use crate::random;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::Instant;
use tuberry_domain::ProjectId;
use tuberry_domain::login::LoginStage;
use tuberry_jobs::{StartLogin, enqueue};
use tuberry_storage::logins::{self, Login, NewLogin};
use tuberry_storage::{open_logins, projects};
use utoipa::ToSchema;

/// How long the request waits for a code.
const PATIENCE: Duration = Duration::from_secs(10);

/// A login to be begun.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewLogin)]
pub(in crate::http) struct Request {
    /// The project that the account shall belong to.
    #[schema(value_type = i32, minimum = 1, example = 1)]
    project_id: RowId<ProjectId>,
}

/// A login with its first code.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StartedLogin)]
pub(in crate::http) struct Started {
    /// Names the login from now on.
    #[schema(min_length = 16, example = "kq3V0b1yH2m9cT7eR5xW8zA4dJ6nL0pS")]
    login_id: String,
    /// `tg://login?token=…`.
    #[schema(example = "tg://login?token=AQJ0ZXN0")]
    qr_url: String,
    /// When Telegram stops taking this code; the status has the next one then.
    expires_at: Option<DateTime<Utc>>,
    /// When the login ends, whatever codes it had.
    login_expires_at: DateTime<Utc>,
}

/// Begins to connect an account, and waits for the QR code, at most 10 s.
///
/// Show `qr_url` as a QR code, or the pictures `qr.svg` and `qr.png`, and ask for the status every second or two: the code changes about every
/// 30 s. The user scans it in Telegram: Settings → Devices → Link Desktop Device.
#[utoipa::path(
    post,
    path = "/api/personal-telegram-accounts/login",
    operation_id = "start_login",
    tag = "logins",
    request_body = Request,
    responses(
        (status = 201, description = "There is a code.", body = Started),
        (status = 404, description = "No such project of this client: «Проект не найден»."),
        (status = 409, description = "The project has no bot or no working group yet, or newer logins of the project took this one's place: «К проекту не подключён бот: сначала подключите бота»."),
        (status = 429, description = "The client has too many open logins: «Слишком много одновременных входов»."),
        (status = 503, description = "No code in time; the login is cancelled: «Telegram не выдал QR-код: попробуйте ещё раз»."),
    )
)]
pub(in crate::http) async fn start(
    State(state): State<AppState>,
    tenant: Tenant,
    Json(request): Json<Request>,
) -> Result<(StatusCode, axum::Json<Started>), Problem> {
    let project = projects::find(state.store.pool(), tenant.client, request.project_id.0).await?;
    let project = project.ok_or_else(|| Problem::not_found("Проект не найден"))?;
    if project.bot_id.is_none() {
        return Err(Problem::conflict("К проекту не подключён бот: сначала подключите бота"));
    }
    if project.group_chat_id.is_none_or(|group| group.trim().is_empty()) {
        return Err(Problem::conflict("У бота проекта нет рабочей группы: сначала выберите группу"));
    }
    let expires_at = Utc::now() + state.login_lifetime;
    let login = NewLogin { id: random::token(24), client: tenant.client, project: project.id, expires_at };
    let mut tx = state.store.begin().await?;
    if !open_logins::make_room(&mut tx, login.client, login.project).await? {
        let wait = Duration::from_secs(30);
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "Слишком много одновременных входов").retry_after(wait));
    }
    let number = logins::create(&mut tx, &login).await?;
    enqueue(&mut tx, &StartLogin { login: number }).await?;
    tx.commit().await?;
    tracing::info!(login = number.0, user = tenant.user.0, "login started");

    let deadline = Instant::now() + PATIENCE;
    let row = wait_while(&state, number, LoginStage::Starting, deadline).await?;
    match current_url(&state, &row) {
        Some(qr_url) => {
            let body = Started { login_id: row.id, qr_url, expires_at: row.token_expires_at, login_expires_at: row.expires_at };
            Ok((StatusCode::CREATED, axum::Json(body)))
        }
        None => Err(give_up(&state, &login, row).await?),
    }
}

async fn give_up(state: &AppState, login: &NewLogin, row: Login) -> Result<Problem, Problem> {
    let mut tx = state.store.begin().await?;
    logins::cancel(&mut tx, login.client, &login.id).await?;
    tx.commit().await?;
    tracing::warn!(login = row.number.0, "no QR code in time");
    Ok(match row.error {
        Some(error) if row.stage == LoginStage::Cancelled => Problem::conflict(error),
        Some(error) => Problem::unavailable(error),
        None => Problem::unavailable("Telegram не выдал QR-код: попробуйте ещё раз").retry_after(Duration::from_secs(5)),
    })
}

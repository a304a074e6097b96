//! `POST /api/bots`: connects a bot by its token, with its working group and project where they are given.

use super::{GivenChat, bind_project, described_chat, group, refusal, set_webhook, unknown};
use crate::http::auth::Tenant;
use crate::http::extract::{Json, RowId};
use crate::http::{AppState, Problem};
use crate::random;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use tuberry_domain::ports::BotToken;
use tuberry_domain::{ProjectId, Secret};
use tuberry_storage::bots::{self, Bot, NewBot};
use utoipa::ToSchema;

/// A bot to be connected.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewBot)]
pub(in crate::http) struct Request {
    /// From @BotFather.
    #[schema(value_type = String, pattern = "^[0-9]{1,20}:[A-Za-z0-9_-]{20,100}$", example = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw")]
    token: BotToken,
    /// The working group: a forum in which the bot is administrator.
    #[schema(schema_with = described_chat)]
    group_chat_id: Option<GivenChat>,
    /// The project that it shall serve.
    #[schema(value_type = Option<i32>, minimum = 1, example = 1)]
    project_id: Option<RowId<ProjectId>>,
}

/// Connects a managing bot by its token, with its working group and project where they are given.
///
/// Nothing is written unless Telegram knows the token and the group will do. A 503 without `Retry-After` means that the bot is connected and
/// only its webhook is not set yet: that is made up for in the background.
#[utoipa::path(
    post,
    path = "/api/bots",
    operation_id = "create_bot",
    tag = "bots",
    request_body = Request,
    responses(
        (status = 201, description = "The new bot.", body = Bot),
        (status = 404, description = "No such project of this client: «Проект не найден»."),
        (status = 409, description = "The token's bot is connected already, or the project has another: «Этот бот уже подключён»."),
        (status = 422, description = "Telegram does not know the token, or the group will not do: «Группа не подходит: в ней не включены темы»."),
        (status = 503, description = "Telegram does not answer, or asks to wait: «Telegram не отвечает: попробуйте ещё раз»."),
    )
)]
pub(in crate::http) async fn create(
    State(state): State<AppState>,
    tenant: Tenant,
    Json(request): Json<Request>,
) -> Result<(StatusCode, axum::Json<Bot>), Problem> {
    if !has_token_form(request.token.expose()) {
        return Err(Problem::invalid("Это не похоже на токен бота"));
    }
    let group = request.group_chat_id.map(|group| group.id()).transpose()?;
    let identity = state.bot_api.get_me(&request.token).await;
    let identity = identity.map_err(|error| refusal(&error, "Telegram не знает такого токена"))?;
    if let Some(group) = group {
        group::check(&state, &request.token, identity.id, group).await?;
    }
    let webhook_secret = fresh_secret();
    let bot = NewBot { client: tenant.client, token: request.token, username: identity.username, group, webhook_secret };
    let mut tx = state.store.begin().await?;
    let id = bots::create(&mut tx, &bot).await?.ok_or_else(|| Problem::conflict("Этот бот уже подключён"))?;
    if let Some(RowId(project)) = request.project_id {
        bind_project(&mut tx, tenant.client, id, project).await?;
    }
    tx.commit().await?;
    tracing::info!(bot = id.0, user = tenant.user.0, "bot connected");
    set_webhook(&state, id, &bot.token, &bot.webhook_secret).await.map_err(|error| {
        tracing::warn!(bot = id.0, %error, "webhook not set");
        Problem::unavailable("Бот подключён, но Telegram ещё не принял адрес вебхука: он будет установлен автоматически")
    })?;
    let bot = bots::find(state.store.pool(), tenant.client, id).await?.ok_or_else(unknown)?;
    Ok((StatusCode::CREATED, axum::Json(bot)))
}

/// `<digits>:<base64url>`; the token becomes part of a URL.
fn has_token_form(token: &str) -> bool {
    let Some((id, secret)) = token.split_once(':') else { return false };
    (1..=20).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_digit())
        && (20..=100).contains(&secret.len())
        && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// 43 characters of 256 random bits: also a valid `secret_token`.
fn fresh_secret() -> Secret<String> {
    Secret::new(random::token(32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_a_tokens_form_reaches_a_url() {
        assert!(has_token_form("123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"));
        for text in [
            "",
            "123",
            ":AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw",
            "12:short",
            "1/2:AAHdqTcvCH1vGWJxfSeofSAs0K5P",
            "1:AAHdqTcvCH1vGWJxfSeo/../x",
        ] {
            assert!(!has_token_form(text), "{text}");
        }
    }
}

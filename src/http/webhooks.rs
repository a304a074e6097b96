//! `POST /api/webhooks/telegram/{bots.id}/{bots.webhook_secret}`: updates of the managing bots. Without the right secret it answers 404,
//! as for any unknown address, and reads nothing.

use super::extract::{row_id, too_large};
use super::{AppState, Problem};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use subtle::ConstantTimeEq;
use tuberry_domain::bot_update::BotUpdate;
use tuberry_domain::{BotId, Secret};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};

/// Largest update, in bytes.
const BODY_LIMIT: usize = 1024 * 1024;

/// Telegram's `Update`, of which the description tells only what every one has.
enum Update {}

impl utoipa::ToSchema for Update {}

impl utoipa::PartialSchema for Update {
    fn schema() -> RefOr<Schema> {
        let id = ObjectBuilder::new().schema_type(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
        let update = ObjectBuilder::new().description(Some("An `Update` of Telegram's Bot API."));
        update.property("update_id", id.examples([810_000_001])).required("update_id").into()
    }
}

/// Takes an update of a managing bot. Telegram calls this; nobody else has the secret.
///
/// Anything but 200 makes Telegram send the update again. With the header `X-Telegram-Bot-Api-Secret-Token` the secret must stand there too.
#[utoipa::path(
    post,
    path = "/api/webhooks/telegram/{bot}/{secret}",
    operation_id = "receive_update",
    tag = "webhooks",
    params(("bot" = i32, Path, minimum = 1, description = "`bots.id`."),
        ("secret" = String, Path, description = "`bots.webhook_secret`.")),
    request_body = Update,
    responses(
        (status = 200, description = "The update is stored."),
        (status = 400, description = "The body is no JSON: «Тело запроса не является JSON»."),
        (status = 404, description = "No such bot, or a wrong secret: «Такого адреса нет»."),
        (status = 413, description = "More than 1 MiB: «Запрос слишком большой»."),
        (status = 422, description = "JSON, but not an update: «Тело запроса не является обновлением Telegram»."),
    )
)]
pub(super) async fn receive(
    State(state): State<AppState>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let unknown = || Problem::not_found("Такого адреса нет");
    let Path((bot, secret)) = path.map_err(|_| unknown())?;
    let bot = BotId(row_id(&bot).ok_or_else(unknown)?);
    let expected = tuberry_storage::bots::webhook_secret(state.store.pool(), bot).await?.ok_or_else(unknown)?;
    if !(matches(&expected, secret.as_bytes()) && header_agrees(&expected, request.headers())) {
        return Err(unknown());
    }
    let body = axum::body::to_bytes(request.into_body(), BODY_LIMIT).await.map_err(|_| too_large())?;
    let update = serde_json::from_slice(&body).map_err(|_| Problem::bad_request("Тело запроса не является JSON"))?;
    let Some(update) = BotUpdate::parse(&update) else {
        return Err(Problem::invalid("Тело запроса не является обновлением Telegram"));
    };
    tuberry_jobs::bot_updates::accept(&state.store, bot, &update).await?;
    Ok(StatusCode::OK)
}

fn matches(expected: &Secret<String>, given: &[u8]) -> bool {
    expected.expose().as_bytes().ct_eq(given).into()
}

/// Telegram repeats the secret in a header where `setWebhook` was told to; webhooks that the old system set come without it.
fn header_agrees(expected: &Secret<String>, headers: &HeaderMap) -> bool {
    headers.get("x-telegram-bot-api-secret-token").is_none_or(|given| matches(expected, given.as_bytes()))
}

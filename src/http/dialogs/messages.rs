//! `GET /api/dialogs/{id}/messages[?cursor=&limit=]`: the newest first; the cursor goes on to older ones.

use crate::http::auth::Tenant;
use crate::http::extract::{Params, PathId, row_id};
use crate::http::page::{Page, PageParams, Position};
use crate::http::{AppState, Problem};
use axum::Json;
use axum::extract::State;
use tuberry_domain::{DialogId, MessageId};
use tuberry_storage::dialog_pages::{self, DialogMessage};

/// Reads the messages of a dialog, the newest first: the cursor goes on to older ones.
#[utoipa::path(
    get,
    path = "/api/dialogs/{id}/messages",
    operation_id = "list_messages",
    tag = "dialogs",
    params(PathId<DialogId>, PageParams),
    responses(
        (status = 200, description = "One page.", body = Page<DialogMessage>),
        (status = 404, description = "No such dialog of this client: «Диалог не найден»."),
    )
)]
pub(in crate::http) async fn messages(
    State(state): State<AppState>,
    tenant: Tenant,
    PathId(dialog): PathId<DialogId>,
    Params(page): Params<PageParams>,
) -> Result<Json<Page<DialogMessage>>, Problem> {
    let (before, limit) = (page.position()?, page.limit()?);
    let messages = dialog_pages::messages(state.store.pool(), tenant.client, dialog, before, limit + 1).await?;
    let messages = messages.ok_or_else(|| Problem::not_found("Диалог не найден"))?;
    Ok(Json(Page::cut(messages, limit, |message| message.id)))
}

impl Position for MessageId {
    fn to_cursor(&self) -> String {
        self.to_string()
    }

    fn from_cursor(text: &str) -> Option<Self> {
        row_id(text).map(Self)
    }
}

//! `GET /api/dialogs[?project_id=&account_id=&cursor=&limit=]`: the most recently active first.

use crate::http::auth::Tenant;
use crate::http::extract::{Params, RowId};
use crate::http::page::{Page, PageParams, Position};
use crate::http::{AppState, Problem};
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Datelike};
use serde::Deserialize;
use tuberry_domain::{AccountId, DialogId, ProjectId};
use tuberry_storage::dialog_pages::{self, Dialog, DialogFilter, DialogPosition};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Filter {
    /// Only of this project.
    #[param(value_type = Option<i32>, minimum = 1)]
    project_id: Option<RowId<ProjectId>>,
    /// Only of this account.
    #[param(value_type = Option<i32>, minimum = 1)]
    account_id: Option<RowId<AccountId>>,
}

/// Lists the dialogs with customers, the most recently active first.
#[utoipa::path(
    get,
    path = "/api/dialogs",
    operation_id = "list_dialogs",
    tag = "dialogs",
    params(Filter, PageParams),
    responses(
        (status = 200, description = "One page.", body = Page<Dialog>),
    )
)]
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    tenant: Tenant,
    Params(filter): Params<Filter>,
    Params(page): Params<PageParams>,
) -> Result<Json<Page<Dialog>>, Problem> {
    let filter = DialogFilter { project: filter.project_id.map(|id| id.0), account: filter.account_id.map(|id| id.0) };
    let (after, limit) = (page.position()?, page.limit()?);
    let dialogs = dialog_pages::list(state.store.pool(), tenant.client, filter, after, limit + 1).await?;
    let position = |dialog: &Dialog| DialogPosition { active_at: dialog.active_at(), id: dialog.id };
    Ok(Json(Page::cut(dialogs, limit, position)))
}

/// `<microseconds since 1970>_<id>`: as exact as PostgreSQL's timestamps.
impl Position for DialogPosition {
    fn to_cursor(&self) -> String {
        format!("{}_{}", self.active_at.timestamp_micros(), self.id)
    }

    fn from_cursor(text: &str) -> Option<Self> {
        let (micros, id) = text.split_once('_')?;
        let active_at = DateTime::from_timestamp_micros(micros.parse().ok()?)?;
        // Within what PostgreSQL can hold.
        (1970..=9999).contains(&active_at.year()).then_some(())?;
        Some(Self { active_at, id: DialogId(id.parse().ok()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_round_trips_to_the_microsecond() {
        let position =
            DialogPosition { active_at: DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap(), id: DialogId(9) };
        assert_eq!(DialogPosition::from_cursor(&position.to_cursor()), Some(position));
        for text in ["", "_", "1_", "x_1", "1_99999999999", "9223372036854775807_1", "-1_1"] {
            assert_eq!(DialogPosition::from_cursor(text), None, "{text}");
        }
    }
}

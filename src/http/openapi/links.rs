//! Which answer names what another route takes.

use super::rules::for_each_operation;
use serde_json::{Value, json};

/// Route and status of the answer, where in its body the id stands, and the routes that take it.
const LINKS: [(&str, &str, &str, &[&str]); 6] = [
    ("start_login", "201", "/login_id", &["read_login", "draw_svg", "draw_png", "submit_password", "cancel_login"]),
    ("create_project", "201", "/id", &["read_project", "update_project"]),
    ("create_bot", "201", "/id", &["read_bot", "update_bot"]),
    ("list_accounts", "200", "/0/id", &["update_account", "set_proxy", "remove_proxy", "delete_account"]),
    ("list_dialogs", "200", "/items/0/id", &["list_messages"]),
    ("list_jobs", "200", "/items/0/id", &["read_job", "retry_job", "cancel_job", "run_job_now", "delete_job"]),
];

/// Adds the links to their answers.
pub(super) fn add(document: &mut Value) {
    for_each_operation(document, |_, _, operation| {
        for (from, status, place, targets) in LINKS {
            if operation["operationId"] == from {
                let link = |to: &&str| json!({ "operationId": to, "parameters": { "id": format!("$response.body#{place}") } });
                let links: Value = targets.iter().map(|to| ((*to).to_owned(), link(to))).collect();
                operation["responses"][status]["links"] = links;
            }
        }
    });
}

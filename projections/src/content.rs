//! What each key of a view holds, field by field: what is written, and what is compared.

use domain::request::Payload;

use crate::view::{GroupView, View};

type Fields = Vec<(&'static str, String)>;

/// The hash of a request, without its sequence.
pub(crate) fn request(view: &View) -> Fields {
    let mut fields = vec![
        ("status", view.status.as_str().into()),
        ("groupCount", view.group_count.to_string()),
        ("receivedAt", view.received_at.to_string()),
        ("attempts", view.attempts.to_string()),
        ("failedTasks", view.failed_tasks.to_string()),
    ];
    fields.extend(view.current_group.map(|g| ("currentGroup", g.to_string())));
    fields.extend(view.started_at.map(|at| ("startedAt", at.to_string())));
    fields.extend(view.completed_at.map(|at| ("completedAt", at.to_string())));
    let key = view.idempotency_key.clone();
    fields.extend(key.map(|key| ("idempotencyKey", key)));
    fields
}

/// The hash of a group, without its sequence.
pub(crate) fn group(group: &GroupView) -> Fields {
    let mut fields = vec![
        ("expected", group.expected.to_string()),
        ("completed", group.completed.to_string()),
        ("failed", group.failed.to_string()),
        ("status", group.status.as_str().into()),
    ];
    fields.extend(group.name.clone().map(|name| ("name", name)));
    fields.extend(group.started_at.map(|at| ("startedAt", at.to_string())));
    fields.extend(group.completed_at.map(|at| ("completedAt", at.to_string())));
    fields
}

/// A big response is kept as `sha256:<hex>:<size>`, which no XML document can be.
pub(crate) fn reference(response: &Payload) -> String {
    match response {
        Payload::Inline(text) => text.to_string(),
        Payload::Stored { sha256, size } => format!("sha256:{sha256}:{size}"),
    }
}

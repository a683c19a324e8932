//! What several stories do.

use domain::request::{Payload, TaskId};

use crate::Verdict;
use crate::scene::Scene;

/// The plain document with this many bytes of a comment in it.
pub fn padded(document: &str, bytes: usize) -> String {
    let end = document.rfind("</").unwrap_or(document.len());
    let line = "a comment that makes this document large\n";
    let comment = line.repeat(bytes / line.len() + 1);
    format!("{}<!-- {comment}-->{}", &document[..end], &document[end..])
}

/// What a worker that takes no task gets wrong.
pub fn takes_none(scene: &Scene<'_>) -> Verdict {
    let of = &scene.options.task_type;
    let limit = scene.options.patience;
    super::verdict(vec![format!(
        "it took no task within {limit:?}: connect to the server of NATS_URL, and pull from the \
         consumer worker-{of} of the stream TASKS"
    )])
}

/// The plain document as a payload.
pub fn plain(scene: &Scene<'_>) -> Payload {
    Payload::from(scene.options.documents.plain.as_str())
}

/// What a task must have had in the log: it was delivered.
pub fn was_delivered(scene: &Scene<'_>, task: TaskId) -> bool {
    !scene.log.of(task.request).deliveries().is_empty()
}

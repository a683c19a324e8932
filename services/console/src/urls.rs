//! The addresses of the pages.

use domain::bulk::OperationId;
use domain::request::{RequestId, Sequence, TaskId};
use history::document::DocumentName;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What a part of a path may have as it is.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// The list of requests.
pub const REQUESTS: &str = "/console/requests";

/// The list of dead letters.
pub const DEAD_LETTERS: &str = "/console/dead-letters";
/// The list of bulk operations.
pub const OPERATIONS: &str = "/console/operations";
/// The system.
pub const SYSTEM: &str = "/console/system";

/// A request.
pub fn request(id: RequestId) -> String {
    format!("{REQUESTS}/{id}")
}

/// A bulk operation.
pub fn operation(id: OperationId) -> String {
    format!("{OPERATIONS}/{id}")
}

/// A dead letter.
pub fn letter(id: &str) -> String {
    format!("{DEAD_LETTERS}/{}", part(id))
}

/// A task.
pub fn task(id: TaskId) -> String {
    format!("{REQUESTS}/{}/tasks/{}/{}", id.request, id.group, id.task)
}

/// A document of a request.
pub fn document(id: RequestId, name: DocumentName) -> String {
    format!("{REQUESTS}/{id}/documents/{name}")
}

/// An event in the list of events of its request.
pub fn event(id: RequestId, sequence: Sequence) -> String {
    format!("{REQUESTS}/{id}?tab=events&event={sequence}#e{sequence}")
}

/// The list of requests that a filter selects.
pub fn filtered(filter: &str) -> String {
    format!("{REQUESTS}?q={}", part(filter))
}

/// A text as a part of a path or of a query.
pub fn part(text: &str) -> String {
    utf8_percent_encode(text, PART).to_string()
}

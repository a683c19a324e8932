//! Every Redis key, in one place.

use domain::request::RequestId;

pub(crate) fn request(id: RequestId) -> String {
    format!("state:request:{id}")
}

pub(crate) fn group(id: RequestId, group: u32) -> String {
    format!("state:request:{id}:group:{group}")
}

pub(crate) fn failure(id: RequestId) -> String {
    format!("cache:request:{id}:failure")
}

pub(crate) fn response(id: RequestId) -> String {
    format!("cache:request:{id}:response")
}

pub(crate) fn metadata(id: RequestId) -> String {
    format!("cache:request:{id}:metadata")
}

pub(crate) fn idempotency(key: &str) -> String {
    format!("request:idempotency:{key}")
}

/// The views that were stopped, by request.
pub(crate) const STOPPED: &str = "state:projector:stopped";

/// How far a shard of the log has been projected into this very Redis: when it is gone or
/// lower than it was, Redis was emptied or set back.
pub(crate) fn checkpoint(shard: u8) -> String {
    format!("state:projector:{shard}")
}

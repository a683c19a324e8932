//! The Redis keys that no view has for itself, and what the keys of views have in common. The key
//! of each view is in its file, and the keys of a rebuild are in `staging`.

use crate::{Kind, ViewKey};

/// How the key of a view begins that changes while its request runs. The request follows.
pub(crate) const STATE: &str = "state:request:";

/// How the key of a view begins that is written once, or once for each end. The request follows.
pub(crate) const CACHE: &str = "cache:request:";

/// Reads the request out of a view's key that names one.
pub(crate) fn parse(key: &str) -> Option<ViewKey> {
    let rest = key
        .strip_prefix(STATE)
        .or_else(|| key.strip_prefix(CACHE))?;
    let (id, rest) = rest.split_once(':').unwrap_or((rest, ""));
    Some(ViewKey {
        key: key.to_owned(),
        request: id.parse().ok()?,
        superseded: superseded().any(|begins| rest.starts_with(begins)),
    })
}

/// How the keys of earlier versions begin, after the request.
pub(crate) fn superseded() -> impl Iterator<Item = &'static str> {
    Kind::all().filter_map(|kind| kind.part().superseded())
}

/// The requests of a shard, by the time at which they were received.
pub(crate) fn index(shard: u8) -> String {
    format!("index:requests:{shard}")
}

/// The ended requests of a shard, by the time at which their data expires.
pub(crate) fn expiring(shard: u8) -> String {
    format!("index:expiring:{shard}")
}

/// The stopped views, by request.
pub(crate) const STOPPED: &str = "state:projector:stopped";

/// How far a shard of the log has been projected into this very Redis. Where the key is gone or
/// lower than it was, Redis was emptied or set back.
pub(crate) fn checkpoint(shard: u8) -> String {
    format!("state:projector:{shard}")
}

#[cfg(test)]
mod tests {
    use domain::request::RequestId;

    use super::*;

    #[test]
    fn a_key_of_a_view_names_its_request_and_whether_anything_reads_it() {
        let id = RequestId::of_key("a", "b");
        let keys = Kind::all().filter_map(|kind| kind.part().key(id));
        let read: Vec<(String, bool)> = keys.map(|key| (key, false)).collect();
        assert_eq!(read.len(), 5, "all but the idempotency key");
        let before = (format!("state:request:{id}:group:7"), true);
        for (name, superseded) in read.into_iter().chain([before]) {
            let parsed = parse(&name).unwrap();
            assert_eq!(
                (parsed.request, parsed.superseded),
                (id, superseded),
                "{name}"
            );
        }
        let idempotency = "request:idempotency:a".to_owned();
        for other in [index(0), checkpoint(0), STOPPED.into(), idempotency] {
            assert_eq!(parse(&other), None, "{other}");
        }
    }
}

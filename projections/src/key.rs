//! The Redis keys of views. The keys of a rebuild are in `staging`.

use domain::request::RequestId;

use crate::ViewKey;

pub(crate) fn request(id: RequestId) -> String {
    format!("state:request:{id}")
}

/// The groups of a request: a hash with a field for each group, by its index, and `seq`.
pub(crate) fn groups(id: RequestId) -> String {
    format!("state:request:{id}:groups")
}

/// The keys that an earlier version had, one for each group.
pub(crate) const SUPERSEDED: &str = "state:request:*:group:*";

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

/// Reads the request out of a view's key that names one.
pub(crate) fn parse(key: &str) -> Option<ViewKey> {
    let rest = key
        .strip_prefix("state:request:")
        .or_else(|| key.strip_prefix("cache:request:"))?;
    let (id, rest) = rest.split_once(':').unwrap_or((rest, ""));
    Some(ViewKey {
        key: key.to_owned(),
        request: id.parse().ok()?,
        superseded: rest.starts_with("group:"),
    })
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
    use super::*;

    #[test]
    fn a_key_of_a_view_names_its_request_and_whether_anything_reads_it() {
        let id = RequestId::of_key("a", "b");
        for (name, superseded) in [
            (request(id), false),
            (groups(id), false),
            (format!("state:request:{id}:group:7"), true),
            (failure(id), false),
            (response(id), false),
            (metadata(id), false),
        ] {
            let parsed = parse(&name).unwrap();
            assert_eq!(
                (parsed.request, parsed.superseded),
                (id, superseded),
                "{name}"
            );
        }
        for other in [index(0), checkpoint(0), STOPPED.into(), idempotency("a")] {
            assert_eq!(parse(&other), None, "{other}");
        }
    }
}

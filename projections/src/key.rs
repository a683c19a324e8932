//! Every Redis key, in one place.

use domain::request::RequestId;

use crate::ViewKey;

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

/// What a key of a view that names its request is about.
pub(crate) fn parse(key: &str) -> Option<ViewKey> {
    let rest = key
        .strip_prefix("state:request:")
        .or_else(|| key.strip_prefix("cache:request:"))?;
    let (id, rest) = rest.split_once(':').unwrap_or((rest, ""));
    let group = match rest.strip_prefix("group:") {
        Some(group) => Some(group.parse().ok()?),
        None => None,
    };
    Some(ViewKey {
        key: key.to_owned(),
        request: id.parse().ok()?,
        group,
    })
}

/// The requests of a shard, by the time they were received.
pub(crate) fn index(shard: u8) -> String {
    format!("index:requests:{shard}")
}

/// The ended requests of a shard, by the time their data goes.
pub(crate) fn expiring(shard: u8) -> String {
    format!("index:expiring:{shard}")
}

/// The views that were stopped, by request.
pub(crate) const STOPPED: &str = "state:projector:stopped";

/// How far a shard of the log has been projected into this very Redis: when it is gone or
/// lower than it was, Redis was emptied or set back.
pub(crate) fn checkpoint(shard: u8) -> String {
    format!("state:projector:{shard}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_a_view_names_its_request_and_its_group() {
        let id = RequestId::of_key("a", "b");
        for (name, group) in [
            (request(id), None),
            (super::group(id, 7), Some(7)),
            (failure(id), None),
            (response(id), None),
            (metadata(id), None),
        ] {
            let parsed = parse(&name).unwrap();
            assert_eq!((parsed.request, parsed.group), (id, group), "{name}");
        }
        for other in [index(0), checkpoint(0), STOPPED.into(), idempotency("a")] {
            assert_eq!(parse(&other), None, "{other}");
        }
    }
}

//! The Redis keys of the projector and the index, and the prefixes of the keys of views. The key of
//! each view is in its file, and the keys of a rebuild are in `staging`.

use domain::access::Tenant;

use crate::{Kind, ViewKey};

/// The prefix of a view that changes while its request runs. The request follows.
pub(crate) const STATE: &str = "state:request:";

/// The prefix of a view that is written at the submission or at an end. The request follows.
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

/// The prefixes that the keys of earlier versions have after the request.
pub(crate) fn superseded() -> impl Iterator<Item = &'static str> {
    Kind::all().filter_map(|kind| kind.part().superseded())
}

/// The requests of a tenant in a shard, by the time at which they were received.
pub(crate) fn index(tenant: &Tenant, shard: u8) -> String {
    match tenant.named() {
        None => format!("index:requests:{shard}"),
        Some(tenant) => format!("index:requests:{tenant}:{shard}"),
    }
}

/// The ended requests of a tenant in a shard, by the time at which their data expires.
pub(crate) fn expiring(tenant: &Tenant, shard: u8) -> String {
    match tenant.named() {
        None => format!("index:expiring:{shard}"),
        Some(tenant) => format!("index:expiring:{tenant}:{shard}"),
    }
}

/// The tenants other than `default` that have ever had requests.
pub(crate) const TENANTS: &str = "index:tenants";

/// The stopped views, by request.
pub(crate) const STOPPED: &str = "state:projector:stopped";

/// The key of a write that only checks whether Redis takes writes.
pub(crate) const PROBE: &str = "state:probe";

/// The requests of a shard whose views are to be verified.
pub(crate) fn doubts(shard: u8) -> String {
    format!("state:projector:doubts:{shard}")
}

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
        let read = keys.map(|key| (key, false));
        let before = (format!("state:request:{id}:group:7"), true);
        for (name, superseded) in read.chain([before]) {
            let parsed = parse(&name).unwrap();
            assert_eq!(
                (parsed.request, parsed.superseded),
                (id, superseded),
                "{name}"
            );
        }
        let idempotency = "request:idempotency:a".to_owned();
        for other in [
            index(&Tenant::default(), 0),
            index(&"desk".parse().unwrap(), 0),
            TENANTS.into(),
            checkpoint(0),
            doubts(0),
            STOPPED.into(),
            idempotency,
        ] {
            assert_eq!(parse(&other), None, "{other}");
        }
    }

    #[test]
    fn every_key_of_a_view_leads_to_its_request() {
        let id = RequestId::of_key("a", "b");
        for kind in Kind::all() {
            let by_value = kind.part().prefix_of_lookups().is_some();
            assert_ne!(kind.part().key(id).is_some(), by_value, "{kind:?}");
        }
    }
}

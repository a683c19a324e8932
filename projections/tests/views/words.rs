//! The common beginning of every history.

use domain::request::{Failure, GroupOutline, Received, RequestId};
use jiff::Timestamp;

/// The tasks of the groups of every history; one group is empty.
pub const TASKS: [u32; 3] = [2, 0, 3];

pub fn id() -> RequestId {
    RequestId::of_key("ada", "k1")
}

pub fn at(sequence: u64) -> Timestamp {
    let seconds = i64::try_from(sequence).unwrap();
    Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}

pub fn failure() -> Failure {
    Failure {
        code: "hydration-no-match".into(),
        message: "nothing matches //curve".into(),
        redrive_may_help: false,
        ..Failure::default()
    }
}

pub fn received() -> Received {
    let outline = |valuations: &u32| GroupOutline {
        name: None,
        valuations: *valuations,
    };
    Received {
        document: "<PROJECT/>".into(),
        fingerprint: "f1".into(),
        groups: TASKS.iter().map(outline).collect(),
        metadata: [("x-desk".to_owned(), "rates".to_owned())].into(),
        tenant: domain::access::Tenant::default(),
        traceparent: None,
        tracestate: None,
        submitter: "ada".into(),
        idempotency_key: Some("k1".into()),
    }
}

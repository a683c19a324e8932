//! The ids of traces and spans. They follow from the request, so that every process gives a span the
//! same id, and a span that is sent twice is the same span.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::{AttemptNumber, GroupIndex, RequestId, Run, TaskNumber};

/// How many bits at the end of a trace id are taken for random, as W3C Trace Context, level 2, says.
const RANDOM_BITS: u32 = 56;

/// The id of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId([u8; 16]);

/// The id of a span within its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId([u8; 8]);

/// What a span is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpanOf {
    /// A run of the request.
    Run(Run),
    /// A group in a run.
    Group(Run, GroupIndex),
    /// An attempt of a task. Attempts are counted over all runs.
    Attempt(GroupIndex, TaskNumber, AttemptNumber),
}

impl TraceId {
    pub(super) const fn new(id: u128) -> Self {
        Self(id.to_be_bytes())
    }

    /// The trace of a request that is in no trace of its caller. Its bytes are those of the request
    /// id, so that a viewer of traces finds it by the request.
    #[must_use]
    pub const fn of(request: RequestId) -> Self {
        Self(*request.uuid().as_bytes())
    }

    /// The bytes of the id.
    #[must_use]
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl SpanId {
    pub(super) const fn new(id: u64) -> Self {
        Self(id.to_be_bytes())
    }

    /// The id of a span of a request: the last 8 bytes of the `UUIDv5` of the request and the name of
    /// the span. They are never all zero, and the standard library of most languages can make them.
    #[must_use]
    pub fn of(request: RequestId, span: SpanOf) -> Self {
        let name = span.to_string();
        let id = Uuid::new_v5(&request.uuid(), name.as_bytes());
        Self::new(id.as_u64_pair().1)
    }

    /// The bytes of the id.
    #[must_use]
    pub const fn bytes(self) -> [u8; 8] {
        self.0
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// The name from which the id of a span is made. It never changes.
impl fmt::Display for SpanOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(run) => write!(f, "r{run}"),
            Self::Group(run, group) => write!(f, "r{run}/g{group}"),
            Self::Attempt(group, task, attempt) => write!(f, "g{group}/t{task}/a{attempt}"),
        }
    }
}

/// The share of traces that is kept. All processes decide the same of a trace, because the decision
/// follows from its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceRatio {
    /// The traces whose random bits are below it are not kept.
    threshold: u64,
}

/// The error for a text that is no share of traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a number from 0 to 1")]
pub struct InvalidTraceRatio;

impl TraceRatio {
    /// Whether a trace is kept.
    #[must_use]
    pub fn keeps(self, trace: TraceId) -> bool {
        let random = u128::from_be_bytes(trace.0) & ((1 << RANDOM_BITS) - 1);
        random >= u128::from(self.threshold)
    }
}

impl FromStr for TraceRatio {
    type Err = InvalidTraceRatio;

    fn from_str(text: &str) -> Result<Self, InvalidTraceRatio> {
        let ratio: f64 = text.trim().parse().map_err(|_| InvalidTraceRatio)?;
        if !(0.0..=1.0).contains(&ratio) {
            return Err(InvalidTraceRatio);
        }
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
        #[allow(clippy::cast_sign_loss)] // The product is between 0 and 2^56.
        let threshold = ((1.0 - ratio) * (1_u64 << RANDOM_BITS) as f64) as u64;
        Ok(Self { threshold })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> RequestId {
        "0199e0a1-2b3c-7d4e-8f50-617283940516".parse().unwrap()
    }

    #[test]
    fn the_ids_of_a_request_never_change() {
        let request = request();
        let trace = TraceId::of(request).to_string();
        assert_eq!(trace, request.to_string().replace('-', ""));
        let (group, task) = (GroupIndex::FIRST, TaskNumber::new(17));
        let spans = [
            SpanOf::Run(Run::FIRST),
            SpanOf::Group(Run::FIRST, group),
            SpanOf::Attempt(group, task, AttemptNumber::new(2)),
        ];
        let ids = spans.map(|span| format!("{span} {}", SpanId::of(request, span)));
        assert_eq!(
            ids,
            [
                "r0 91acf24401e30f88",
                "r0/g0 984ab6b8a7d9af55",
                "g0/t17/a2 9b603b603f6f4c4f"
            ]
        );
    }

    #[test]
    fn the_share_that_is_kept_is_the_ratio() {
        let random =
            |n: u128| TraceId::new(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        for (ratio, expected) in [
            ("0", 0..=0),
            ("0.25", 2_400..=2_600),
            ("1", 10_000..=10_000),
        ] {
            let ratio: TraceRatio = ratio.parse().unwrap();
            let kept = (0..10_000).filter(|n| ratio.keeps(random(*n))).count();
            assert!(expected.contains(&kept), "{ratio:?}: {kept}");
        }
        for text in ["", "x", "-0.1", "1.1", "NaN", "inf"] {
            assert_eq!(text.parse::<TraceRatio>(), Err(InvalidTraceRatio), "{text}");
        }
    }
}

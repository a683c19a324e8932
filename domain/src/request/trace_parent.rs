use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use super::{AttemptNumber, SpanId, SpanOf, TaskId, TraceId, TraceRatio};

/// The length of version 00. Later versions may only append to it.
const LENGTH: usize = 55;
/// The flag that says that the caller records the trace.
const SAMPLED: u8 = 1;

/// The position of a request in a trace of the caller, in the form of the W3C Trace Context header
/// `traceparent`. An example is `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct TraceParent(String);

/// The error for a text that is not a valid traceparent. The receiver ignores it and continues
/// (Trace Context, section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent: version-trace-parent-flags in lower-case hex is expected")]
pub struct InvalidTraceParent;

impl TraceParent {
    /// Deserializes a stored traceparent. An invalid one becomes `None`, so that a bad header
    /// cannot make a request unreadable.
    pub fn or_none<'de, D: Deserializer<'de>>(stored: D) -> Result<Option<Self>, D::Error> {
        let text = Option::<String>::deserialize(stored)?;
        Ok(text.and_then(|text| text.parse().ok()))
    }

    /// The header itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A position in a trace.
    #[must_use]
    pub fn new(trace: TraceId, span: SpanId, is_sampled: bool) -> Self {
        Self(format!("00-{trace}-{span}-{:02x}", u8::from(is_sampled)))
    }

    /// The trace.
    #[must_use]
    pub fn trace_id(&self) -> TraceId {
        TraceId::new(u128::from_str_radix(self.field(3..35), 16).unwrap_or(0))
    }

    /// The span in the trace.
    #[must_use]
    pub fn span_id(&self) -> SpanId {
        SpanId::new(u64::from_str_radix(self.field(36..52), 16).unwrap_or(0))
    }

    /// Whether the caller records the trace.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        u8::from_str_radix(self.field(53..55), 16).is_ok_and(|flags| flags & SAMPLED != 0)
    }

    fn field(&self, place: Range<usize>) -> &str {
        self.0.get(place).unwrap_or_default()
    }

    /// The position that an attempt hands on: its own span, in the trace of the caller or in that of
    /// the request. A caller who records nothing is passed on as it is, so that the executor records
    /// nothing either.
    #[must_use]
    pub fn of_attempt(
        task: TaskId,
        attempt: AttemptNumber,
        caller: Option<&Self>,
        ratio: TraceRatio,
    ) -> Self {
        let span = SpanId::of(
            task.request,
            SpanOf::Attempt(task.group, task.task, attempt),
        );
        match caller {
            Some(caller) if caller.is_sampled() => Self::new(caller.trace_id(), span, true),
            Some(caller) => caller.clone(),
            None => {
                let trace = TraceId::of(task.request);
                Self::new(trace, span, ratio.keeps(trace))
            }
        }
    }

    /// The position of a later attempt of the same task, where this is the position of `first`. Any
    /// other position stays: it is that of the caller.
    #[must_use]
    pub fn of_later(self, task: TaskId, first: AttemptNumber, attempt: AttemptNumber) -> Self {
        let span = |attempt| {
            let of = SpanOf::Attempt(task.group, task.task, attempt);
            SpanId::of(task.request, of)
        };
        if attempt == first || self.span_id() != span(first) {
            return self;
        }
        Self::new(self.trace_id(), span(attempt), self.is_sampled())
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    /// Parses a traceparent. From a later version it takes the fields of version 00, and writes
    /// them as version 00: the ids, and whether the caller samples (Trace Context, section 3.2.4).
    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        let (known, later) = text.split_at_checked(LENGTH).ok_or(InvalidTraceParent)?;
        let mut fields = known.split('-');
        let mut field = |length, is_valid: fn(&str) -> bool| {
            let field = fields.next().filter(|field| {
                let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                field.len() == length && field.bytes().all(hex) && is_valid(field)
            });
            field.ok_or(InvalidTraceParent)
        };
        let version = field(2, |version| version != "ff")?;
        let trace = field(32, is_not_zero)?;
        let parent = field(16, is_not_zero)?;
        let flags = field(2, |_| true)?;
        if version == "00" {
            let whole = later.is_empty().then(|| Self(known.to_owned()));
            return whole.ok_or(InvalidTraceParent);
        }
        if !later.is_empty() && !later.starts_with('-') {
            return Err(InvalidTraceParent);
        }
        let flags = u8::from_str_radix(flags, 16).map_err(|_| InvalidTraceParent)? & SAMPLED;
        Ok(Self(format!("00-{trace}-{parent}-{flags:02x}")))
    }
}

fn is_not_zero(id: &str) -> bool {
    id.bytes().any(|byte| byte != b'0')
}

#[cfg(test)]
mod tests {
    use super::super::{GroupIndex, TaskNumber};
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(text: &str) -> Option<String> {
        let read = text.parse::<TraceParent>();
        read.ok().map(|parent| parent.to_string())
    }

    #[test]
    fn a_traceparent_of_version_00_is_kept_unchanged() {
        assert_eq!(read(GIVEN).as_deref(), Some(GIVEN));
    }

    #[test]
    fn a_traceparent_of_a_later_version_is_written_as_version_00() {
        let later = GIVEN.replacen("00-", "cc-", 1);
        let other_flags = later.replace("-01", "-ff");
        let longer = format!("{later}-what-the-future-holds");
        for later in [later, other_flags, longer] {
            assert_eq!(read(&later).as_deref(), Some(GIVEN), "{later}");
        }
        let unsampled = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-fe";
        let as_known = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        assert_eq!(read(unsampled).as_deref(), Some(as_known));
    }

    #[test]
    fn an_invalid_stored_traceparent_reads_as_none() {
        for stored in ["\"x\\r\\ny: z\"", "\"\"", "null"] {
            let mut json = serde_json::Deserializer::from_str(stored);
            assert_eq!(TraceParent::or_none(&mut json).unwrap(), None, "{stored}");
        }
        let stored = format!("\"{GIVEN}\"");
        let mut json = serde_json::Deserializer::from_str(&stored);
        let read = TraceParent::or_none(&mut json).unwrap();
        assert_eq!(read.unwrap().as_str(), GIVEN);
    }

    #[test]
    fn the_parts_of_a_traceparent_are_those_of_its_text() {
        let given: TraceParent = GIVEN.parse().unwrap();
        let (trace, span) = (given.trace_id(), given.span_id());
        assert_eq!(trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(span.to_string(), "00f067aa0ba902b7");
        assert!(given.is_sampled());
        assert_eq!(TraceParent::new(trace, span, true), given);
        assert!(!TraceParent::new(trace, span, false).is_sampled());
    }

    #[test]
    fn an_attempt_hands_on_its_own_span_in_the_trace_of_a_caller_who_records() {
        let task = TaskId {
            request: "0199e0a1-2b3c-7d4e-8f50-617283940516".parse().unwrap(),
            group: GroupIndex::FIRST,
            task: TaskNumber::FIRST,
        };
        let (all, none): (TraceRatio, TraceRatio) = ("1".parse().unwrap(), "0".parse().unwrap());
        let first = AttemptNumber::FIRST;
        let of = |attempt| {
            SpanId::of(
                task.request,
                SpanOf::Attempt(task.group, task.task, attempt),
            )
        };
        let given: TraceParent = GIVEN.parse().unwrap();
        let handed = TraceParent::of_attempt(task, first, Some(&given), none);
        assert_eq!(handed, TraceParent::new(given.trace_id(), of(first), true));
        let second = first.next();
        let later = handed.clone().of_later(task, first, second);
        assert_eq!(later, TraceParent::new(given.trace_id(), of(second), true));
        assert_eq!(handed.clone().of_later(task, first, first), handed);

        let silent: TraceParent = GIVEN.replace("-01", "-00").parse().unwrap();
        let handed = TraceParent::of_attempt(task, first, Some(&silent), all);
        assert_eq!(handed, silent);
        assert_eq!(handed.of_later(task, first, second), silent);

        for (ratio, is_sampled) in [(all, true), (none, false)] {
            let handed = TraceParent::of_attempt(task, first, None, ratio);
            let trace = TraceId::of(task.request);
            assert_eq!(handed, TraceParent::new(trace, of(first), is_sampled));
        }
    }

    #[test]
    fn an_invalid_traceparent_is_refused() {
        let zero_trace = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let zero_parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01";
        let refused = [
            String::new(),
            zero_trace.to_owned(),
            zero_parent.to_owned(),
            GIVEN.to_uppercase(),
            GIVEN.replace('-', "_"),
            GIVEN.replacen("00-", "ff-", 1),
            GIVEN.replacen('f', "g", 1),
            GIVEN[..54].to_owned(),
            format!("{GIVEN}-more"),
            format!("{}more", GIVEN.replacen("00-", "cc-", 1)),
            format!("{}é", &GIVEN[..54]),
        ];
        for text in refused {
            assert_eq!(read(&text), None, "{text}");
        }
    }
}

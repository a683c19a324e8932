use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use domain::access::Tenant;
use domain::request::{Event, EventKind, Recorded, RequestId, Sequence, TraceParent};
use jiff::Timestamp;

use crate::tenant::{self, TENANT};
use crate::unknown_event::is_hidden;
use crate::{Error, packed, subject, trace};

/// The names of a commit's events, for readers that fetch headers only.
pub(crate) const EVENTS: HeaderName = HeaderName::from_static("Fanfold-Events");
/// The sequence of the commit before, where messages that are no commits came between the two. The
/// broker expects the sequence of the last message.
const PREVIOUS: HeaderName = HeaderName::from_static("Fanfold-Previous");

/// What a new commit follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Follows {
    /// The commit on whose state it was decided; `NONE` where there is none.
    pub commit: Sequence,
    /// The last message at the subject: that commit, or a later message that is no commit.
    pub message: Sequence,
}

impl From<Sequence> for Follows {
    fn from(commit: Sequence) -> Self {
        Self {
            commit,
            message: commit,
        }
    }
}

/// The events of one decision: one message in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The request.
    pub request: RequestId,
    /// Its sequence in the log.
    pub sequence: Sequence,
    /// The sequence of the commit on which this one was decided; `NONE` for the first.
    pub previous: Sequence,
    /// When the log stored the commit.
    pub at: Timestamp,
    /// The tenant of the request.
    pub tenant: Tenant,
    /// The position of the request in a trace of the caller.
    pub traceparent: Option<TraceParent>,
    /// The events, in order.
    pub events: Vec<Event>,
}

impl Commit {
    /// The events with their positions in the log.
    pub fn recorded(&self) -> impl Iterator<Item = Recorded<Event>> + '_ {
        self.borrowed().map(|recorded| Recorded {
            request: recorded.request,
            sequence: recorded.sequence,
            index: recorded.index,
            at: recorded.at,
            tenant: recorded.tenant,
            traceparent: recorded.traceparent,
            event: recorded.event.clone(),
        })
    }

    /// Like `recorded`, but without a copy of each event. An event may hold a document.
    pub fn borrowed(&self) -> impl Iterator<Item = Recorded<&Event>> + '_ {
        (0..).zip(&self.events).map(|(index, event)| Recorded {
            request: self.request,
            sequence: self.sequence,
            index,
            at: self.at,
            tenant: self.tenant.clone(),
            traceparent: self.traceparent.clone(),
            event,
        })
    }

    /// Whether the request has ended after this commit. `None` if the commit has outcomes of tasks
    /// only: one of them may come after the end.
    #[must_use]
    pub fn has_ended(&self) -> Option<bool> {
        let outcome =
            |event: &&Event| matches!(event, Event::TaskSucceeded(_) | Event::TaskFailed(_));
        let last = self.events.iter().rev().find(|event| !outcome(event));
        last.map(Event::is_terminal)
    }

    /// Whether the request ends with this commit.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.events.last().is_some_and(Event::is_terminal)
    }
}

/// A commit in the form that goes to the broker.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

pub(crate) fn encode(
    events: &[Event],
    follows: Follows,
    tenant: &Tenant,
    traceparent: Option<&TraceParent>,
) -> Result<Encoded, Error> {
    const WHAT: &str = "a new commit";
    let json = serde_json::to_vec(events).map_err(|e| Error::corrupt(WHAT, e))?;
    let mut headers = HeaderMap::new();
    let expected = follows.message.to_string();
    headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expected);
    if follows.commit != follows.message {
        headers.insert(PREVIOUS, follows.commit.to_string());
    }
    headers.insert(EVENTS, names(events));
    tenant::insert(&mut headers, TENANT, tenant);
    trace::insert(&mut headers, traceparent);
    let body = packed::pack(WHAT, json, &mut headers)?;
    Ok(Encoded { headers, body })
}

/// Whether a request ends with a commit, read from the commit's headers.
pub(crate) fn is_terminal(headers: &HeaderMap) -> bool {
    let names = headers.get(EVENTS).map_or("", HeaderValue::as_str);
    let last = names.rsplit(',').next().unwrap_or_default();
    EventKind::of_name(last).is_some_and(EventKind::is_terminal)
}

/// Whether a request begins to run with a commit, read from the commit's headers.
pub(crate) fn begins(headers: &HeaderMap) -> bool {
    let expected = headers.get(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE);
    let is_first = expected.is_some_and(|sequence| sequence.as_str() == "0");
    let names = headers.get(EVENTS).map_or("", HeaderValue::as_str);
    let redriven = EventKind::Redriven.name();
    is_first || names.split(',').any(|name| name == redriven)
}

/// Each event's name once, in order of first appearance.
fn names(events: &[Event]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in events.iter().map(Event::name) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(",")
}

pub(crate) fn decode(
    log_subject: &str,
    sequence: Sequence,
    at: Timestamp,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Commit, Error> {
    let corrupt = |reason: String| Error::Corrupt {
        what: format!("commit {sequence} at {log_subject}"),
        reason,
    };
    let request = subject::request(log_subject, 2)
        .ok_or_else(|| corrupt("its subject names no request".into()))?;
    let previous = headers
        .get(PREVIOUS)
        .or_else(|| headers.get(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE))
        .and_then(|value| value.as_str().parse().ok())
        .ok_or_else(|| corrupt("it does not say on which sequence it was decided".into()))?;
    let events: Vec<Event> = packed::unpack(headers, body).map_err(corrupt)?;
    if let Some(event) = events.iter().find(|event| is_hidden(event.name())) {
        return Err(corrupt(format!("unknown variant `{}`", event.name())));
    }
    Ok(Commit {
        request,
        sequence,
        previous,
        at,
        tenant: tenant::of(Some(headers)),
        traceparent: trace::of(Some(headers)),
        events,
    })
}

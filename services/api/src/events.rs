//! The history of a request.

use std::str::FromStr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::feed::CloudEvent;
use domain::request::{Recorded, RequestId};
use nats::Commit;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use utoipa::{IntoParams, ToSchema};

use crate::failure::{Problem, ProblemBody};
use crate::follow::follow;
use crate::media;
use crate::query::{self, Parameters};
use crate::read::{parse_id, seen, with_sequence};
use crate::sharing::Caller;
use crate::state::Api;

/// How many events one answer has at the most, and where nothing is said.
const PAGE_MAX: usize = 10_000;
const PAGE: usize = 1_000;
/// After so many bytes of events a page ends.
const PAGE_MAX_BYTES: usize = 4 * 1024 * 1024;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// Only events after this one, as `next` or an event's `sequence:index` names it.
    #[param(pattern = "^[0-9]{1,15}:[0-9]{1,6}$")]
    after: Option<String>,
    /// How many at the most.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<usize>,
}

/// The history of a request, or a page of it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Events)]
struct EventsBody {
    #[schema(value_type = String, format = "uuid")]
    request_id: RequestId,
    /// `CloudEvents` 1.0 in their JSON form.
    #[schema(value_type = Vec<Value>)]
    events: Vec<Box<RawValue>>,
    /// Where the next page begins; none where this is the last.
    next: Option<String>,
}

/// The place of an event in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    sequence: u64,
    index: u32,
}

impl Place {
    const START: Self = Self {
        sequence: 0,
        index: 0,
    };

    pub fn of<E>(recorded: &Recorded<E>) -> Self {
        Self {
            sequence: recorded.sequence,
            index: recorded.index,
        }
    }
}

impl FromStr for Place {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let parts = text.split_once(':');
        let place = parts.and_then(|(sequence, index)| {
            let (sequence, index) = (sequence.parse().ok()?, index.parse().ok()?);
            Some(Self { sequence, index })
        });
        place.ok_or_else(|| query::refused("an event is named by its sequence:index"))
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.sequence, self.index)
    }
}

/// The history of a request; with `Accept: text/event-stream`, live.
#[utoipa::path(
    get, path = "/valuation/{id}/events", tag = "valuations",
    params(
        ("id" = String, Path, description = "The request", format = "uuid"),
        EventsQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The same as `after`, as event streams send it", pattern = "^[0-9]{1,15}:[0-9]{1,6}$"),
        ("Fanfold-Sequence" = Option<u64>, Header, description = "The answer is not to be older than this"),
    ),
    responses(
        (status = 200, description = "The events", content((EventsBody = "application/json"), (String = "text/event-stream"))),
        (status = 204, description = "The request has ended and the caller has every event: do not connect again"),
        (status = 400, description = "Not an id, or a parameter that cannot be used", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such request", body = ProblemBody, content_type = "application/problem+json"),
        (status = 406, description = "Neither JSON nor an event stream is accepted", body = ProblemBody, content_type = "application/problem+json"),
        (status = 410, description = "Expired", body = ProblemBody, content_type = "application/problem+json"),
        (status = 412, description = "The request has not reached Fanfold-Sequence", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Not now", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn events(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    Parameters(query): Parameters<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = parse_id(&id)?;
    let after = match (headers.get("last-event-id"), &query.after) {
        (Some(last), _) => last.to_str().unwrap_or_default().parse()?,
        (None, Some(after)) => after.parse()?,
        (None, None) => Place::START,
    };
    let limit = match query.limit {
        None => PAGE,
        Some(limit @ 1..=PAGE_MAX) => limit,
        Some(_) => return Err(query::refused("limit is from 1 to 10000")),
    };
    match media::choose(&headers, &["application/json", "text/event-stream"]) {
        Some("application/json") => page(&api, id, after, limit, seen(&headers)?).await,
        Some(_) => follow(api, caller, id, after).await,
        None => {
            // That there is no such request goes before.
            api.known(id, seen(&headers)?).await?;
            let message = "the history is application/json or text/event-stream";
            Err(Problem::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", message).of(id))
        }
    }
}

/// An event as it is shown.
pub struct Shown {
    pub place: Place,
    pub name: &'static str,
    /// A `CloudEvent` in its JSON form.
    pub json: Box<RawValue>,
}

/// Some events of a request, in order.
#[derive(Default)]
pub struct Stretch {
    pub events: Vec<Shown>,
    /// Whether the log has more behind them.
    pub more: bool,
    /// Whether the request has ended with them.
    pub ended: bool,
    bytes: usize,
}

/// How much is read together.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    pub events: usize,
    /// An event that is larger comes by itself.
    pub bytes: usize,
}

/// The first events of a request after a place. Of its log no more is read than is shown.
pub async fn after(api: &Api, id: RequestId, place: Place, most: Most) -> Result<Stretch, Problem> {
    let mut stretch = Stretch::default();
    // From the place's own commit on: it may hold more events, and tells whether it was the end.
    let mut next = Some(place.sequence.saturating_sub(1));
    while let Some(after) = next {
        // Each commit has an event at least, but that of the place may have none to show.
        let wanted = most.events.saturating_sub(stretch.events.len()) + 1;
        let page = api.log.read_page(id, after, wanted).await?;
        for commit in &page.commits {
            if !stretch.take_in(commit, place, most)? {
                stretch.more = true;
                return Ok(stretch);
            }
        }
        next = page.next;
    }
    Ok(stretch)
}

impl Stretch {
    /// Takes in the events of a commit that come after the place, as far as there is room;
    /// whether all of them had room.
    fn take_in(&mut self, commit: &Commit, place: Place, most: Most) -> Result<bool, Problem> {
        let later = commit.recorded();
        let later = later.filter(|event| place == Place::START || Place::of(event) > place);
        for event in later {
            if self.events.len() == most.events {
                return Ok(false);
            }
            let json = to_raw_value(&CloudEvent::of(&event)).map_err(|error| {
                tracing::error!(%error, "an event cannot be shown");
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                Problem::new(status, "internal", "an event cannot be shown")
            })?;
            self.bytes += json.get().len();
            if self.bytes > most.bytes && !self.events.is_empty() {
                return Ok(false);
            }
            self.events.push(Shown {
                place: Place::of(&event),
                name: event.event.name(),
                json,
            });
        }
        self.ended = commit.is_terminal();
        Ok(true)
    }
}

async fn page(
    api: &Api,
    id: RequestId,
    place: Place,
    limit: usize,
    seen: u64,
) -> Result<Response, Problem> {
    let view = api.known(id, seen).await?;
    let most = Most {
        events: limit,
        bytes: PAGE_MAX_BYTES,
    };
    let stretch = after(api, id, place, most).await?;
    let last = stretch.events.last().filter(|_| stretch.more);
    let body = EventsBody {
        request_id: id,
        next: last.map(|last| last.place.to_string()),
        events: stretch.events.into_iter().map(|event| event.json).collect(),
    };
    Ok(with_sequence(Json(body).into_response(), view.seq))
}

#[cfg(test)]
mod tests {
    use domain::request::Event;
    use jiff::Timestamp;

    use super::*;

    /// A commit of so many events.
    fn commit(sequence: u64, events: usize, reason: &str) -> Commit {
        let cancelled = serde_json::json!({ "by": "tests", "reason": reason });
        let cancelled = Event::Cancelled(serde_json::from_value(cancelled).unwrap());
        Commit {
            request: RequestId::new(uuid::Uuid::nil()),
            sequence,
            previous: 0,
            at: Timestamp::UNIX_EPOCH,
            traceparent: None,
            events: vec![cancelled; events],
        }
    }

    fn places(stretch: &Stretch) -> Vec<String> {
        let places = stretch.events.iter().map(|event| event.place.to_string());
        places.collect()
    }

    #[test]
    fn a_page_has_so_many_events_and_goes_on_within_a_commit() {
        let most = |events| Most {
            events,
            bytes: usize::MAX,
        };
        let mut three = Stretch::default();
        let commit = commit(7, 3, "why");
        assert!(three.take_in(&commit, Place::START, most(3)).unwrap());
        assert_eq!(places(&three), ["7:0", "7:1", "7:2"]);
        assert!(three.ended);
        let mut two = Stretch::default();
        assert!(!two.take_in(&commit, Place::START, most(2)).unwrap());
        assert_eq!(places(&two), ["7:0", "7:1"]);
        assert!(!two.ended, "there is more");
        let mut rest = Stretch::default();
        let place = two.events[1].place;
        assert!(rest.take_in(&commit, place, most(2)).unwrap());
        assert_eq!(places(&rest), ["7:2"]);
    }

    #[test]
    fn a_page_has_so_many_bytes_but_one_event_in_any_case() {
        let long = commit(7, 3, &"x".repeat(600));
        let one = {
            let mut stretch = Stretch::default();
            let most = Most {
                events: 9,
                bytes: 1,
            };
            assert!(!stretch.take_in(&long, Place::START, most).unwrap());
            assert_eq!(places(&stretch), ["7:0"]);
            stretch.events[0].json.get().len()
        };
        for (bytes, shown) in [(2 * one, 2), (2 * one - 1, 1), (3 * one, 3)] {
            let mut stretch = Stretch::default();
            let most = Most { events: 9, bytes };
            let whole = stretch.take_in(&long, Place::START, most).unwrap();
            assert_eq!((stretch.events.len(), whole), (shown, shown == 3));
        }
    }
}

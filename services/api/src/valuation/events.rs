//! The history of a request.

use std::str::FromStr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::request::{Recorded, RequestId, Sequence};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use crate::answers::EventBody;
use crate::auth::Admitted;
use crate::http::media;
use crate::http::problem::{Problem, ProblemBody};
use crate::http::query::{self, Parameters};
use crate::http::sharing::Caller;
use crate::state::Api;
use crate::valuation::follow::follow;
use crate::valuation::read::{parse_id, seen, with_sequence};
use crate::valuation::stretch::{Most, after};

/// The maximum and the default number of events in one answer.
const PAGE_MAX: usize = 10_000;
const PAGE: usize = 1_000;
/// A page ends after this many bytes of events.
const PAGE_MAX_BYTES: usize = 4 * 1024 * 1024;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// Only events after this one, as `next` or an event's `sequence:index` names it.
    #[param(pattern = "^[0-9]{1,15}:[0-9]{1,6}$")]
    after: Option<String>,
    /// The maximum number on a page.
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
    #[schema(value_type = Vec<EventBody>)]
    events: Vec<Box<RawValue>>,
    /// Where the next page begins; none where this is the last.
    next: Option<String>,
}

/// The position of an event in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub sequence: Sequence,
    index: u32,
}

impl Place {
    pub const START: Self = Self {
        sequence: Sequence::NONE,
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
    reader: Admitted,
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
        Some("application/json") => page(&api, &reader, id, after, limit, seen(&headers)?).await,
        Some(_) => follow(api, caller, &reader, id, after).await,
        None => {
            // A 404 for an unknown request comes before the 406.
            api.known(&reader, id, seen(&headers)?).await?;
            let message = "the history is application/json or text/event-stream";
            Err(Problem::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", message).of(id))
        }
    }
}

async fn page(
    api: &Api,
    reader: &Admitted,
    id: RequestId,
    place: Place,
    limit: usize,
    seen: Sequence,
) -> Result<Response, Problem> {
    let view = api.known(reader, id, seen).await?;
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

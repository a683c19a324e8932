//! A stream of events that follows a request live.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use domain::request::{RequestId, Sequence};
use futures::Stream;

use crate::auth::Admitted;
use crate::http::problem::Problem;
use crate::http::sharing::Caller;
use crate::state::Api;
use crate::tenancy::Held;
use crate::valuation::events::Place;
use crate::valuation::stretch::{Most, Shown, after};
use crate::valuation::waiters::Waiter;

/// How far a stream reads ahead of its reader. The reader may be slow, and there may be many
/// streams.
const MOST: Most = Most {
    events: 100,
    bytes: 256 * 1024,
};

/// Follows a request from a position on.
pub async fn follow(
    api: Arc<Api>,
    caller: Caller,
    reader: &Admitted,
    id: RequestId,
    place: Place,
) -> Result<Response, Problem> {
    let quotas = api.quotas.of(&reader.tenant());
    let quota = match quotas.as_deref() {
        Some(quotas) => quotas.stream()?,
        None => None,
    };
    // Register before reading the log, so that no commit falls between the two.
    let waiter = api.waiters.register_stream(id, caller);
    let waiter = waiter.ok_or_else(too_many_streams)?;
    api.known(reader, id, Sequence::NONE).await?;
    let stretch = after(&api, id, place, MOST).await?;
    let ended = stretch.has_ended(&api, reader, id).await?;
    if ended && stretch.events.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let heartbeat = KeepAlive::new()
        .interval(api.sse_heartbeat)
        .text("heartbeat");
    let following = Following {
        api,
        reader: reader.clone(),
        id,
        place,
        waiter,
        _quota: quota,
        events: stretch.events.into(),
        more: stretch.more,
        ended,
    };
    let stream = Sse::new(following.stream()).keep_alive(heartbeat);
    // Tell a proxy such as nginx not to buffer the events.
    Ok(([("x-accel-buffering", "no")], stream).into_response())
}

/// A caller that follows a request.
struct Following {
    api: Arc<Api>,
    reader: Admitted,
    id: RequestId,
    place: Place,
    waiter: Waiter,
    /// Its place among the streams of its tenant, where they are limited.
    _quota: Option<Held>,
    events: VecDeque<Shown>,
    /// Whether the log has more events after these.
    more: bool,
    ended: bool,
}

impl Following {
    /// Streams every event until the request has ended, this process shuts down, or the log cannot
    /// be read. In the last two cases the caller connects again with the last id that it received.
    fn stream(self) -> impl Stream<Item = Result<sse::Event, Infallible>> {
        futures::stream::unfold(self, |mut following| async move {
            let event = following.next().await?;
            Some((Ok(event), following))
        })
    }

    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            if let Some(shown) = self.events.pop_front() {
                self.place = shown.place;
                let event = sse::Event::default()
                    .id(self.place.to_string())
                    .event(shown.name);
                return Some(event.data(shown.json.get()));
            }
            if self.ended {
                return None;
            }
            if !self.more {
                tokio::select! {
                    () = self.waiter.changed() => {}
                    () = self.api.shutdown.softly() => return None,
                }
            }
            let stretch = after(&self.api, self.id, self.place, MOST).await.ok()?;
            self.ended = stretch
                .has_ended(&self.api, &self.reader, self.id)
                .await
                .ok()?;
            self.events = stretch.events.into();
            self.more = stretch.more;
        }
    }
}

/// The error when too many callers follow requests.
fn too_many_streams() -> Problem {
    let message = "too many event streams are open; read the history in pages, or try again";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Problem::new(status, "too-many-streams", message).retry_after(1)
}

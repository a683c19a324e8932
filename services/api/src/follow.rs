//! A stream of events that follows a request live.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use domain::feed::CloudEvent;
use domain::request::{Event, Recorded, RequestId};
use futures::Stream;

use crate::events::{Place, after};
use crate::failure::Problem;
use crate::read::too_many_waiters;
use crate::state::Api;
use crate::waiters::Waiter;

/// Follows a request from a place on.
pub async fn follow(api: Arc<Api>, id: RequestId, place: Place) -> Result<Response, Problem> {
    // A place is taken before the log is read, so that nothing falls between.
    let waiter = api.waiters.register(id).ok_or_else(too_many_waiters)?;
    api.known(id, 0).await?;
    let (events, ended) = after(&api, id, place).await?;
    if ended && events.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let heartbeat = KeepAlive::new()
        .interval(api.sse_heartbeat)
        .text("heartbeat");
    let following = Following {
        api,
        id,
        place,
        waiter,
        events: events.into(),
        ended,
    };
    Ok(Sse::new(following.stream())
        .keep_alive(heartbeat)
        .into_response())
}

/// One caller that follows a request.
struct Following {
    api: Arc<Api>,
    id: RequestId,
    place: Place,
    waiter: Waiter,
    events: VecDeque<Recorded<Event>>,
    ended: bool,
}

impl Following {
    /// Every event, until the request has ended, this process is to end, or the log cannot be
    /// read: the caller connects again with the last id it has.
    fn stream(self) -> impl Stream<Item = Result<sse::Event, Infallible>> {
        futures::stream::unfold(self, |mut following| async move {
            let event = following.next().await?;
            Some((Ok(event), following))
        })
    }

    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            if let Some(recorded) = self.events.pop_front() {
                self.place = Place::of(&recorded);
                let event = sse::Event::default()
                    .id(self.place.to_string())
                    .event(recorded.event.name());
                return event.json_data(CloudEvent::of(&recorded)).ok();
            }
            if self.ended {
                return None;
            }
            tokio::select! {
                () = self.waiter.changed() => {}
                () = self.api.shutdown.softly() => return None,
            }
            let (events, ended) = after(&self.api, self.id, self.place).await.ok()?;
            self.events = events.into();
            self.ended = ended;
        }
    }
}

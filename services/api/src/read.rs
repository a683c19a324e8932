//! Reading a request: its view in Redis, and where that is missing, the fold of its events.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Response;
use domain::request::{InvalidId, RequestId};
use jiff::Timestamp;
use nats::Commit;
use projections::{View, fold};
use tokio::time::Instant;

use crate::failure::Problem;
use crate::sharing::Caller;
use crate::state::Api;

/// In answers, the sequence that was reached; in a call, the one that is not to be gone behind.
const SEQUENCE: HeaderName = HeaderName::from_static("fanfold-sequence");
/// How often a log that is behind what the caller has seen is read again, and the pause before.
const CATCH_UP: (u32, Duration) = (20, Duration::from_millis(25));

/// What a caller waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// That the request goes on from this sequence, or has ended.
    Past(u64),
    /// That the request has ended.
    End,
}

impl Api {
    /// The view of a request, not older than sequence `seen`, nor than any this instance has
    /// answered from before; none where there is no such request. Redis may be empty, behind or
    /// away: the log has it all.
    pub(crate) async fn view(
        &self,
        request: RequestId,
        seen: u64,
    ) -> Result<Option<View>, Problem> {
        let seen = self.seen.get(&request).map_or(seen, |own| own.max(seen));
        match self.store.get(request).await {
            Ok(Some(view)) if view.seq >= seen => return Ok(Some(view)),
            Ok(_) => {}
            Err(error) => tracing::warn!(%request, %error, "its view cannot be read; folding"),
        }
        let (looks, pause) = CATCH_UP;
        for look in 1..=looks {
            let commits = self.log.read(request, 0).await?;
            let view = fold(None, commits.iter().flat_map(Commit::recorded));
            if view.as_ref().map_or(0, |view| view.seq) >= seen {
                if let Some(view) = &view {
                    self.seen.insert(request, view.seq);
                }
                return Ok(view);
            }
            if look == looks && view.is_none() {
                return Ok(None);
            }
            // A replica that is behind answered, or the caller saw another request's sequence.
            tokio::time::sleep(pause).await;
        }
        let message = format!("the request has not reached sequence {seen}");
        let problem = Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "sequence-not-reached",
            message,
        );
        Err(problem.of(request).retry_after(1))
    }

    /// The view of a request that can be read: 404 where there never was one, 410 where its
    /// time has passed.
    pub(crate) async fn known(&self, request: RequestId, seen: u64) -> Result<View, Problem> {
        match self.view(request, seen).await? {
            None => Err(Problem::unknown(request)),
            Some(view) if self.seconds_left(&view) == Some(0) => Err(Problem::expired(request)),
            Some(view) => Ok(view),
        }
    }

    /// How long an ended request can still be read; none while it has not ended.
    pub(crate) fn seconds_left(&self, view: &View) -> Option<i64> {
        let ended = view.completed_at.filter(|_| view.status.is_terminal())?;
        let keep = i64::try_from(self.time_to_live.as_secs()).unwrap_or(i64::MAX);
        let gone = Timestamp::now().as_second() - ended.as_second();
        Some(keep.saturating_sub(gone).max(0))
    }

    /// Holds an answer back until the request has gone on or ended, at the most for `limit`, and
    /// less where this process is to end.
    pub(crate) async fn held_back(
        &self,
        caller: Caller,
        request: RequestId,
        seen: u64,
        until: Until,
        limit: Duration,
    ) -> Result<View, Problem> {
        let deadline = Instant::now() + limit;
        let mut waiter = self
            .waiters
            .register(request, caller)
            .ok_or_else(too_many_waiters)?;
        loop {
            // A view may be behind, and whoever waits is not told of what came before.
            let last = self.log.last_sequence(request).await?;
            let view = self.known(request, last.max(seen)).await?;
            let moved = matches!(until, Until::Past(sequence) if view.seq > sequence);
            if moved || view.status.is_terminal() {
                return Ok(view);
            }
            let woken = async {
                match until {
                    Until::Past(_) => waiter.changed().await,
                    Until::End => waiter.ended().await,
                }
            };
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep_until(deadline) => return Ok(view),
                () = self.shutdown.softly() => return Ok(view),
            }
        }
    }
}

/// More callers wait than may.
pub(crate) fn too_many_waiters() -> Problem {
    let message = "too many callers wait; ask without waiting, or try again";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-waiters", message).retry_after(1)
}

/// The id in a path.
pub(crate) fn parse_id(text: &str) -> Result<RequestId, Problem> {
    text.parse().map_err(|error: InvalidId| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid-id", error.to_string())
    })
}

/// The sequence that the caller has seen: an answer is not to be older. 0 where it says none.
pub(crate) fn seen(headers: &HeaderMap) -> Result<u64, Problem> {
    let Some(value) = headers.get(SEQUENCE) else {
        return Ok(0);
    };
    let sequence = value.to_str().ok().and_then(|text| text.parse().ok());
    // As documented, it is an int64.
    let sequence = sequence.filter(|sequence| i64::try_from(*sequence).is_ok());
    sequence.ok_or_else(|| {
        let message = "Fanfold-Sequence must be the number that an answer gave";
        Problem::new(StatusCode::BAD_REQUEST, "invalid-sequence", message)
    })
}

/// Says in an answer how far it has seen.
pub(crate) fn with_sequence(mut response: Response, sequence: u64) -> Response {
    response.headers_mut().insert(SEQUENCE, sequence.into());
    response
}

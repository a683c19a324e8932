//! Reading a request: its view in Redis, or the fold of its events when the view is missing.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Response;
use domain::request::{InvalidId, RequestId, Sequence};
use jiff::Timestamp;
use nats::Commit;
use projections::{View, fold};
use tokio::time::Instant;

use crate::auth::Admitted;
use crate::http::problem::Problem;
use crate::http::sharing::Caller;
use crate::state::Api;

/// In an answer, the sequence that the answer reflects; in a call, the sequence that the answer
/// must have reached.
const SEQUENCE: HeaderName = HeaderName::from_static("fanfold-sequence");
/// How often to read the log again when it is behind the caller's sequence, and the pause before
/// each read.
const CATCH_UP: (u32, Duration) = (20, Duration::from_millis(25));

/// The condition on which a held-back answer is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// The request has gone past this sequence, or has ended.
    Past(Sequence),
    /// The request has ended.
    End,
}

impl Api {
    /// The view of a request; `None` when there is no such request. It is not older than sequence
    /// `seen`, nor than any view from which this instance has answered before. Redis may be empty,
    /// behind or unavailable, because the log has everything.
    pub(crate) async fn view(
        &self,
        request: RequestId,
        seen: Sequence,
    ) -> Result<Option<View>, Problem> {
        let seen = self
            .operations
            .seen()
            .of(request)
            .map_or(seen, |own| own.max(seen));
        match self.store.get(request).await {
            Ok(Some(view)) if view.seq >= seen => return Ok(Some(view)),
            Ok(_) => {}
            Err(error) => tracing::warn!(%request, %error, "its view cannot be read; folding"),
        }
        let (looks, pause) = CATCH_UP;
        for look in 1..=looks {
            let commits = self.log.read(request, Sequence::NONE).await?;
            let view = fold(None, commits.iter().flat_map(Commit::recorded));
            if view.as_ref().map_or(Sequence::NONE, |view| view.seq) >= seen {
                if let Some(view) = &view {
                    self.operations.seen().note(request, view.seq);
                }
                return Ok(view);
            }
            if look == looks && view.is_none() {
                return Ok(None);
            }
            // A lagging replica answered, or the caller sent the sequence of another request.
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

    /// The view of a request: 404 when the request never existed, 410 when it has expired.
    /// For a caller who may see only its own requests, those of others do not exist.
    pub(crate) async fn known(
        &self,
        reader: &Admitted,
        request: RequestId,
        seen: Sequence,
    ) -> Result<View, Problem> {
        if reader.sees_own_only() && seen > Sequence::NONE {
            // A sequence that is not reached must not tell that the request exists.
            Box::pin(self.known(reader, request, Sequence::NONE)).await?;
        }
        match self.view(request, seen).await? {
            None => Err(Problem::unknown(request)),
            Some(view) if !reader.may_see(view.submitter.as_deref()) => {
                Err(Problem::unknown(request))
            }
            Some(view) if self.seconds_left(&view) == Some(0) => Err(Problem::expired(request)),
            Some(view) => Ok(view),
        }
    }

    /// How long an ended request remains readable, in seconds; `None` while it has not ended.
    pub(crate) fn seconds_left(&self, view: &View) -> Option<i64> {
        let ended = view.completed_at.filter(|_| view.status.is_terminal())?;
        let keep = i64::try_from(self.time_to_live.as_secs()).unwrap_or(i64::MAX);
        let gone = Timestamp::now().as_second() - ended.as_second();
        Some(keep.saturating_sub(gone).max(0))
    }

    /// Holds an answer back until the request has moved on or ended. The wait lasts at most
    /// `limit`, and less when this process shuts down.
    pub(crate) async fn held_back(
        &self,
        caller: Caller,
        reader: &Admitted,
        request: RequestId,
        seen: Sequence,
        until: Until,
        limit: Duration,
    ) -> Result<View, Problem> {
        let deadline = Instant::now() + limit;
        let mut waiter = self
            .waiters
            .register(request, caller)
            .ok_or_else(too_many_waiters)?;
        loop {
            // The view may lag, and a waiter does not learn of commits from before it registered.
            let last = self.log.last_sequence(request).await?;
            let view = self.known(reader, request, last.max(seen)).await?;
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

/// The error when too many callers wait.
pub(crate) fn too_many_waiters() -> Problem {
    let message = "too many callers wait; ask without waiting, or try again";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-waiters", message).retry_after(1)
}

/// Parses the id in a path.
pub(crate) fn parse_id(text: &str) -> Result<RequestId, Problem> {
    text.parse().map_err(|error: InvalidId| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid-id", error.to_string())
    })
}

/// The sequence that the caller has seen: an answer must not be older. It is `NONE` without the header.
pub(crate) fn seen(headers: &HeaderMap) -> Result<Sequence, Problem> {
    let Some(value) = headers.get(SEQUENCE) else {
        return Ok(Sequence::NONE);
    };
    let sequence: Option<Sequence> = value.to_str().ok().and_then(|text| text.parse().ok());
    // A sequence is an int64, as documented.
    let sequence = sequence.filter(|sequence| i64::try_from(sequence.get()).is_ok());
    sequence.ok_or_else(|| {
        let message = "Fanfold-Sequence must be the number that an answer gave";
        Problem::new(StatusCode::BAD_REQUEST, "invalid-sequence", message)
    })
}

/// Adds the sequence that the answer reflects.
pub(crate) fn with_sequence(mut response: Response, sequence: Sequence) -> Response {
    response
        .headers_mut()
        .insert(SEQUENCE, sequence.get().into());
    response
}

//! Reading a request: its view in Redis, or the fold of its events when the view is missing.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Response;
use domain::request::{InvalidId, RequestId, Sequence};
use jiff::{SignedDuration, Timestamp};
use nats::Commit;
use projections::{View, fold};
use tokio::time::Instant;

use crate::auth::Admitted;
use crate::http::measured;
use crate::http::problem::Problem;
use crate::http::sharing::Caller;
use crate::state::Api;

/// In an answer, the sequence that the answer reflects; in a call, the sequence that the answer
/// must have reached.
const SEQUENCE: HeaderName = HeaderName::from_static("fanfold-sequence");
/// How often to read the log again when it is behind the caller's sequence, and the pause before
/// each read.
const CATCH_UP: (u32, Duration) = (20, Duration::from_millis(25));

/// How long the view of a running request may stand still before the log is asked about it.
const STILL_AFTER: Duration = Duration::from_secs(5);

/// The condition on which a held-back answer is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// The request has gone past this sequence, or has ended.
    Past(Sequence),
    /// The request has ended.
    End,
}

impl Api {
    /// The view of a request; `None` when there is no such request, or none that `accepts` takes: of
    /// those, not even the time of the answer tells that they exist. The view is not older than
    /// sequence `seen`, nor than any view from which this instance has answered before. Redis may
    /// be empty, behind or unavailable, because the log has everything.
    pub(crate) async fn view(
        &self,
        request: RequestId,
        seen: Sequence,
        accepts: impl Fn(&View) -> bool,
    ) -> Result<Option<View>, Problem> {
        let seen = self
            .operations
            .seen()
            .of(request)
            .map_or(seen, |own| own.max(seen));
        match self.store.get(request).await {
            Ok(Some(view)) if !accepts(&view) => return self.as_if_absent().await,
            Ok(Some(view)) if view.seq >= seen => {
                if !self.has_stood_still(&view).await {
                    return Ok(Some(view));
                }
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%request, %error, "its view cannot be read; folding"),
        }
        let (looks, pause) = CATCH_UP;
        let mut found = Sequence::NONE;
        for _ in 0..looks {
            let commits = self.log.read(request, Sequence::NONE).await?;
            match fold(None, commits.iter().flat_map(Commit::recorded)) {
                Some(view) if !accepts(&view) => {
                    self.log.last_sequence(nobody()).await?;
                    return Ok(None);
                }
                Some(view) if view.seq >= seen.max(found) => {
                    self.operations.seen().note(request, view.seq);
                    return Ok(Some(view));
                }
                // Age has removed its beginning.
                None if !commits.is_empty() => return Ok(None),
                None if found == Sequence::NONE => {
                    found = self.log.last_sequence(request).await?;
                    if found == Sequence::NONE {
                        return Ok(None);
                    }
                }
                _ => {}
            }
            // A lagging replica answered, or the caller sent the sequence of another request.
            tokio::time::sleep(pause).await;
        }
        if seen == Sequence::NONE {
            return Err(behind(request));
        }
        let message = format!("the request has not reached sequence {seen}");
        let problem = Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "sequence-not-reached",
            message,
        );
        Err(problem.of(request).retry_after(1))
    }

    /// Reads what an absent request is looked for with, and finds nothing.
    async fn as_if_absent(&self) -> Result<Option<View>, Problem> {
        let nobody = nobody();
        self.log.read(nobody, Sequence::NONE).await?;
        self.log.last_sequence(nobody).await?;
        Ok(None)
    }

    /// Whether the view of a running request has stood still while its log went on. Redis may have
    /// lost or set back this view alone, and then no commit corrects it. The leader of the log is
    /// asked about a view that has been there for a while, at most every [`STILL_AFTER`]. If the
    /// projector has passed the last commit, it is asked to verify the view.
    async fn has_stood_still(&self, view: &View) -> bool {
        let request = view.request_id;
        let age = Timestamp::now().duration_since(view.received_at);
        let young = age < SignedDuration::try_from(STILL_AFTER).unwrap_or_default();
        if view.status.is_terminal() || young {
            return false;
        }
        let checked = self.checked.get(&request);
        if checked.is_some_and(|at| at.elapsed() < STILL_AFTER) {
            return false;
        }
        let last = match self.log.last_sequence(request).await {
            Ok(last) => last,
            Err(error) => {
                tracing::debug!(%request, %error, "a view that may have stood still is not checked");
                return false;
            }
        };
        self.checked.insert(request, Instant::now());
        if last == view.seq {
            return false;
        }
        // A stopped view stands still for a reason that a reader cannot cure.
        let stopped = self.store.stopped_view(request).await;
        if stopped.is_ok_and(|stopped| stopped.is_some()) {
            return false;
        }
        let shard = request.partition().shard(self.log.shards());
        let passed = self.store.checkpoint(shard).await;
        if passed.is_ok_and(|passed| passed >= last)
            && let Err(error) = self.store.doubt(shard, request).await
        {
            tracing::debug!(%request, %error, "the projector is not told of a doubtful view");
        }
        true
    }

    /// The error for a request that was not found: 404 only where the leader of the log has nothing
    /// of it. A server that lags may have answered before.
    pub(crate) async fn not_found(&self, request: RequestId) -> Problem {
        match self.log.last_sequence(request).await {
            Ok(Sequence::NONE) => Problem::unknown(request),
            Ok(_) => behind(request),
            Err(error) => Problem::from(error).of(request),
        }
    }

    /// The view of a request: 404 when the request never existed, 410 when it has expired.
    /// For a caller who may not see a request, it does not exist.
    pub(crate) async fn known(
        &self,
        reader: &Admitted,
        request: RequestId,
        seen: Sequence,
    ) -> Result<View, Problem> {
        match self
            .view(request, seen, |view| reader.may_see(view))
            .await?
        {
            None => Err(Problem::unknown(request)),
            Some(view) if self.seconds_left(&view) == Some(0) => Err(Problem::expired(request)),
            Some(view) => Ok(view),
        }
    }

    /// Refuses a command to a request of another tenant, as if there was none.
    pub(crate) async fn check_tenant(
        &self,
        caller: &Admitted,
        request: RequestId,
    ) -> Result<(), Problem> {
        let Some(tenant) = caller.scope().only() else {
            return Ok(());
        };
        if self.operations.is_of_another(request, tenant).await? {
            return Err(Problem::unknown(request));
        }
        Ok(())
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
        let quotas = self.quotas.of(&reader.tenant());
        let _waits = match quotas.as_deref() {
            Some(quotas) => quotas.wait()?,
            None => None,
        };
        let mut waiter = self
            .waiters
            .register(request, caller)
            .ok_or_else(too_many_waiters)?;
        measured::hold();
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

/// The id of no request.
fn nobody() -> RequestId {
    RequestId::new(uuid::Uuid::now_v7())
}

/// The error when the server of the log that answers does not have the request yet.
fn behind(request: RequestId) -> Problem {
    let message = "the server of the log that answered lags; try again";
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "log-behind", message);
    problem.of(request).retry_after(1)
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

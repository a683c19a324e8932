//! Folds the log of a request that has ended into its trace.

use std::time::Duration;

use domain::request::{RequestId, Sequence};
use history::trace::{Fold, Sampling, Trace};
use nats::{Delivery, Error, Log, Quarantine, Verdict};
use runtime::caught;

/// The pause before an end is looked at again that could not be processed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How many commits are read at once. The broker sends fewer where they are large.
const PAGE: usize = 1_000;

/// Folds requests.
pub struct Folder {
    pub log: Log,
    /// Ends that may have ended the process that folded their requests.
    pub suspects: Quarantine,
    pub sampling: Sampling,
}

/// What becomes of an end.
pub enum Folded {
    /// This trace is to be sent.
    Trace(Box<Trace>),
    /// There is nothing to send.
    Nothing,
    /// It is looked at again after this pause.
    Again(Duration),
}

impl Folder {
    /// Folds the request that ended with this event. If the event may have ended a process before,
    /// this happens under a mark.
    pub async fn fold(&self, event: &Delivery) -> Folded {
        let Ok(place) = event.place() else {
            return Folded::Nothing;
        };
        let what = place.sequence.to_string();
        let folded = if self.suspects.is_suspect(&what, place.delivered > 1) {
            self.under_mark(event, &what).await
        } else {
            self.watched(event, &what).await
        };
        folded.unwrap_or_else(|error| {
            tracing::warn!(%error, "the end of a request will be looked at again for its trace");
            self.again(&what)
        })
    }

    fn again(&self, what: &str) -> Folded {
        self.suspects.survived(what, 0);
        Folded::Again(LOOK_AGAIN)
    }

    async fn under_mark(&self, event: &Delivery, what: &str) -> Result<Folded, Error> {
        let begun = self.suspects.begin(what, event.request()).await?;
        let folded = if begun.verdict == Verdict::Try {
            self.watched(event, what).await
        } else {
            leave_out(event, "making it ended the processes that tried");
            Ok(Folded::Nothing)
        };
        self.suspects.end(begun).await;
        folded
    }

    async fn watched(&self, event: &Delivery, what: &str) -> Result<Folded, Error> {
        let panic = match caught(self.trace(event)).await {
            Ok(trace) => {
                if trace.is_ok() {
                    self.suspects.done(what);
                }
                return trace;
            }
            Err(panic) => panic,
        };
        tracing::error!(what, panic, "making a trace panicked");
        if !self.suspects.panicked(what) {
            return Ok(self.again(what));
        }
        self.suspects.done(what);
        leave_out(event, "making it panics");
        Ok(Folded::Nothing)
    }

    async fn trace(&self, event: &Delivery) -> Result<Folded, Error> {
        runtime::strike("tracer", event.body());
        let (Some(request), Some(end)) = (event.request(), end(event)) else {
            return Ok(Folded::Nothing);
        };
        let Some(fold) = self.folded(request, end).await? else {
            leave_out(event, "the log of the request has expired");
            return Ok(Folded::Nothing);
        };
        let trace = fold.trace(&self.sampling);
        Ok(trace.map_or(Folded::Nothing, |trace| Folded::Trace(Box::new(trace))))
    }

    /// The commits of a request up to its end, folded page by page; `None` where the log has none of
    /// them any more. A server that lags may not have the end yet.
    async fn folded(&self, request: RequestId, end: Sequence) -> Result<Option<Fold>, Error> {
        let mut fold = Fold::new(request);
        let (mut next, mut last) = (Some(Sequence::NONE), Sequence::NONE);
        while let Some(after) = next {
            let page = self.log.read_page(request, after, PAGE).await?;
            for commit in page.commits {
                if commit.sequence > end {
                    break;
                }
                last = commit.sequence;
                fold.take(&commit);
            }
            next = page.next.filter(|_| last < end);
        }
        if last >= end {
            return Ok(Some(fold));
        }
        if self.log.last_sequence(request).await? < end {
            return Ok(None);
        }
        let lags = "the server that answered does not have the end of the request yet";
        Err(Error::Unavailable(lags.to_owned()))
    }
}

/// The sequence of the commit of an event, which is part of the event's id.
fn end(event: &Delivery) -> Option<Sequence> {
    event.header("ce-id")?.split(':').nth(1)?.parse().ok()
}

fn leave_out(event: &Delivery, reason: &str) {
    tracing::warn!(subject = event.subject(), reason, "a trace is left out");
}

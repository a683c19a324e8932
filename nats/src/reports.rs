//! What workers and timers tell the orchestrator, until it has committed what they say.

use async_nats::HeaderMap;
use domain::request::{Outcome, Report, RequestId, TaskId};

use crate::group_commit::{GroupCommit, Outgoing};
use crate::{Connection, Delivery, Error, Stored, Unreadable, subject};

/// Publishes reports.
#[derive(Clone)]
pub struct Reports {
    publishing: GroupCommit,
}

impl Reports {
    /// On this connection.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self {
            publishing: GroupCommit::new(connection),
        }
    }

    /// Reports the outcome of an attempt, and waits until the broker has it.
    pub async fn outcome(&self, request: RequestId, outcome: Outcome) -> Result<(), Error> {
        let id = TaskId {
            request,
            group: outcome.group,
            task: outcome.task,
        };
        let body = encode(&Report::Outcome(outcome))?;
        let message = Outgoing {
            subject: subject::outcome(id),
            headers: HeaderMap::new(),
            body,
        };
        Stored::from_answer(self.publishing.publish(message).await).map(|_| ())
    }
}

pub(crate) fn encode(report: &Report) -> Result<bytes::Bytes, Error> {
    serde_json::to_vec(report)
        .map(Into::into)
        .map_err(|error| Error::corrupt("a new report", error))
}

/// A report as it is delivered to the orchestrator.
pub struct StoredReport {
    /// The request it is about.
    pub request: RequestId,
    /// What it says.
    pub report: Report,
    /// The message, to be answered.
    pub delivery: Delivery,
}

impl StoredReport {
    /// Reads a delivered report; one that cannot be read comes back with the reason.
    pub fn parse(delivery: Delivery) -> Result<Self, Box<Unreadable>> {
        let what = || format!("the report at {}", delivery.subject());
        let request = subject::request(delivery.subject(), 2)
            .ok_or_else(|| Error::corrupt(what(), "its subject names no request"));
        let report =
            serde_json::from_slice(delivery.body()).map_err(|error| Error::corrupt(what(), error));
        match (request, report) {
            (Ok(request), Ok(report)) => Ok(Self {
                request,
                report,
                delivery,
            }),
            (Err(error), _) | (_, Err(error)) => Err(Unreadable::boxed(delivery, error)),
        }
    }
}

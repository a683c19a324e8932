//! The reports of workers and timers to the orchestrator, kept until it has committed them.

use std::collections::HashMap;

use async_nats::HeaderMap;
use bytes::Bytes;
use domain::request::{Outcome, Report, RequestId, TaskId};

use crate::group_commit::{GroupCommit, Outgoing, Waiting};
use crate::packed::from_json;
use crate::tasks::AGAIN;
use crate::{Connection, Delivery, Error, Stored, Unreadable, subject};

/// The most bytes of reports that are joined into one message.
const JOINED_MAX_BYTES: usize = 256 * 1024;
/// The most bytes of an array of reports. A larger array, from a third-party worker, is set aside,
/// because its reports could be too much for one commit.
const ARRAY_MAX_BYTES: usize = 512 * 1024;

/// Publishes reports.
#[derive(Clone)]
pub struct Reports {
    connection: Connection,
    publishing: GroupCommit,
}

impl Reports {
    /// Publishes over this connection.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self {
            publishing: GroupCommit::joining(connection.clone(), join),
            connection,
        }
    }

    /// Reports the outcome of an attempt, and waits until the broker has it.
    pub async fn outcome(
        &self,
        request: RequestId,
        outcome: Outcome,
        again: bool,
    ) -> Result<(), Error> {
        self.send(&EncodedReport::of_outcome(request, outcome, again)?)
            .await
    }

    /// Sends a report, and waits until the broker has it.
    pub async fn send(&self, report: &EncodedReport) -> Result<(), Error> {
        // A report that the client sends later, after its worker was told that it failed, could give
        // up a task that another worker has by then.
        self.connection.connected().await?;
        let answer = self.publishing.publish(report.0.clone()).await;
        Stored::from_answer(answer).map(|_| ())
    }
}

/// A report that is encoded once and may be sent more than once.
pub struct EncodedReport(Outgoing);

impl EncodedReport {
    /// Encodes the outcome of an attempt. Texts in it that are too long are cut. `again` says that
    /// the task was sent again, so its outcome may have been reported before.
    pub fn of_outcome(
        request: RequestId,
        mut outcome: Outcome,
        again: bool,
    ) -> Result<Self, Error> {
        outcome.bound();
        let id = TaskId {
            request,
            group: outcome.group,
            task: outcome.task,
        };
        let body = encode(&Report::Outcome(outcome))?;
        let mut headers = HeaderMap::new();
        if again {
            headers.insert(AGAIN, "true");
        }
        Ok(Self(Outgoing {
            subject: subject::outcome(id),
            headers,
            body,
        }))
    }
}

/// Joins the reports about one request into one message. The cost to store, deliver and ack a
/// message is then paid once for all of them.
fn join(waiting: Vec<Waiting>) -> Vec<Waiting> {
    let mut joined: Vec<(Waiting, Vec<Bytes>, usize)> = Vec::with_capacity(waiting.len());
    let mut last: HashMap<String, usize> = HashMap::new();
    for waiting in waiting {
        if !waiting.message.headers.is_empty() {
            // The headers of this message do not hold for other reports.
            joined.push((waiting, Vec::new(), 0));
            continue;
        }
        let about = subject::about(&waiting.message.subject).to_owned();
        let body = waiting.message.body.clone();
        let room = |at: &usize| joined[*at].2 + body.len() <= JOINED_MAX_BYTES;
        if let Some(at) = last.get(&about).copied().filter(room) {
            let (first, bodies, bytes) = &mut joined[at];
            first.join(waiting);
            *bytes += body.len();
            bodies.push(body);
        } else {
            last.insert(about, joined.len());
            joined.push((waiting, vec![body.clone()], body.len()));
        }
    }
    let joined = joined.into_iter().map(|(mut first, bodies, _)| {
        if bodies.len() > 1 {
            first.message.body = array(&bodies);
        }
        first
    });
    joined.collect()
}

fn array(bodies: &[Bytes]) -> Bytes {
    let bytes: usize = bodies.iter().map(|body| body.len() + 1).sum();
    let mut array = Vec::with_capacity(bytes + 1);
    for body in bodies {
        array.push(if array.is_empty() { b'[' } else { b',' });
        array.extend_from_slice(body);
    }
    array.push(b']');
    array.into()
}

/// Decodes the reports of a message: one, or an array of them.
fn decode(body: &[u8]) -> serde_json::Result<Vec<Report>> {
    if body.first() == Some(&b'[') {
        if body.len() > ARRAY_MAX_BYTES {
            let reason = format!("an array of reports may have {ARRAY_MAX_BYTES} bytes");
            return Err(serde::de::Error::custom(reason));
        }
        let reports: Vec<Report> = from_json(body)?;
        if reports.is_empty() {
            return Err(serde::de::Error::custom("it has no report in it"));
        }
        Ok(reports)
    } else {
        from_json(body).map(|report| vec![report])
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
    /// The reports in the message, at least one.
    pub reports: Vec<Report>,
    /// Whether it may have been processed before: it was delivered before, or sent again.
    pub again: bool,
    /// The message, to be answered.
    pub delivery: Delivery,
}

impl StoredReport {
    /// Reads a delivered report. A report that cannot be read comes back with the reason. Texts
    /// from a third-party worker that are too long are cut.
    pub fn parse(delivery: Delivery) -> Result<Self, Box<Unreadable>> {
        let what = || format!("the report at {}", delivery.subject());
        let request = subject::request(delivery.subject(), 2)
            .ok_or_else(|| Error::corrupt(what(), "its subject names no request"));
        let reports = decode(delivery.body()).map_err(|error| Error::corrupt(what(), error));
        match (request, reports) {
            (Ok(request), Ok(mut reports)) => {
                for report in &mut reports {
                    report.bound();
                }
                Ok(Self {
                    request,
                    reports,
                    again: delivery.comes_again() || delivery.header(AGAIN).is_some(),
                    delivery,
                })
            }
            (Err(error), _) | (_, Err(error)) => Err(Unreadable::boxed(delivery, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::request::Run;

    fn one() -> String {
        let body = encode(&Report::RequestTimedOut { run: Run::FIRST }).unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[test]
    fn a_message_has_one_report_or_an_array_of_reports() {
        let one = one();
        assert_eq!(decode(one.as_bytes()).unwrap().len(), 1);
        let two = array(&[one.clone().into(), one.clone().into()]);
        assert_eq!(decode(&two).unwrap().len(), 2);
        let none = decode(b"[]").unwrap_err().to_string();
        assert!(none.contains("no report"), "{none}");
    }

    #[test]
    fn an_array_that_could_exceed_a_commit_is_refused() {
        let many = vec![Bytes::from(one()); ARRAY_MAX_BYTES / one().len() + 1];
        let refused = decode(&array(&many)).unwrap_err().to_string();
        assert!(refused.contains("524288 bytes"), "{refused}");
    }
}

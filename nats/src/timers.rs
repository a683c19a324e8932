//! Timeouts: message schedules of the broker, which fire into the reports.

use async_nats::HeaderMap;
use async_nats::header::{NATS_SCHEDULE, NATS_SCHEDULE_TARGET};
use domain::request::{GroupIndex, Report, RequestId, Run, TaskId};
use jiff::Timestamp;

use crate::topology::REPORTS;
use crate::{Connection, Error, reports, subject};

/// Sets and clears timers.
#[derive(Clone)]
pub struct Timers {
    connection: Connection,
}

impl Timers {
    /// Sets timers over this connection.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Schedules the report of the timeout of a group in a run. `deadline` is the one that the log
    /// has, by which the report names the start of the group. The timer fires at `due`, by the
    /// clock of the broker.
    pub async fn set_group(
        &self,
        request: RequestId,
        (group, run): (GroupIndex, Run),
        deadline: Timestamp,
        due: Timestamp,
    ) -> Result<(), Error> {
        let report = Report::GroupTimedOut { group, deadline };
        self.set(subject::group_timed_out(request, group, run), &report, due)
            .await
    }

    /// Schedules the report of the timeout of a whole request.
    pub async fn set_request(
        &self,
        request: RequestId,
        run: Run,
        deadline: Timestamp,
    ) -> Result<(), Error> {
        let report = Report::RequestTimedOut { run };
        self.set(subject::request_timed_out(request, run), &report, deadline)
            .await
    }

    /// Schedules a task to be dispatched again at this time.
    pub async fn set_task(&self, id: TaskId, run: Run, due: Timestamp) -> Result<(), Error> {
        let report = Report::TaskDue {
            group: id.group,
            task: id.task,
            run: Some(run),
        };
        self.set(subject::task_due(id, run), &report, due).await
    }

    /// The last sequence that the broker gave to a timer or a report.
    pub async fn last_sequence(&self) -> Result<u64, Error> {
        let stream = self.connection.described(REPORTS).await?;
        Ok(stream.cached_info().state.last_sequence)
    }

    /// Clears the group's timer of a run where it was set up to this sequence. A timer that was set later
    /// may belong to a redrive. This is best effort, because a late timeout changes nothing.
    pub async fn clear_group(
        &self,
        request: RequestId,
        (group, run): (GroupIndex, Run),
        up_to: Option<u64>,
    ) -> Result<(), Error> {
        self.clear(&subject::group_timed_out(request, group, run), up_to)
            .await
    }

    /// Clears the request's timer of a run where it was set up to this sequence. This is best
    /// effort, too.
    pub async fn clear_request(
        &self,
        request: RequestId,
        run: Run,
        up_to: Option<u64>,
    ) -> Result<(), Error> {
        self.clear(&subject::request_timed_out(request, run), up_to)
            .await
    }

    async fn set(&self, target: String, report: &Report, at: Timestamp) -> Result<(), Error> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_SCHEDULE, format!("@at {at}"));
        let timer = subject::timer(&target);
        headers.insert(NATS_SCHEDULE_TARGET, target);
        let body = reports::encode(report)?;
        let stored = self.connection.publish(timer, headers, body).await;
        stored.map(|_| ()).map_err(Error::of_refusal)
    }

    async fn clear(&self, target: &str, up_to: Option<u64>) -> Result<(), Error> {
        let stream = self
            .connection
            .jetstream
            .get_stream_no_info(REPORTS)
            .await
            .map_err(Error::unavailable)?;
        let purge = stream.purge().filter(subject::timer(target));
        let purged = match up_to {
            Some(up_to) => purge.sequence(up_to + 1).await,
            None => purge.await,
        };
        let call = format_args!("STREAM.PURGE.{REPORTS}");
        purged
            .map(|_| ())
            .map_err(|error| self.connection.failed(call, error))
    }
}

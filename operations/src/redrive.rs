use domain::request::{Command, Event, Redriven, Rejection, RequestId, Run, Sequence};
use jiff::Timestamp;
use nats::{Error, ExecuteError, Receipt};

use crate::{Operations, Why};

impl Operations {
    /// Runs the failed tasks of a request again.
    pub async fn redrive(&self, request: RequestId, why: Why) -> Result<Receipt, ExecuteError> {
        self.redrive_run(request, why, None).await
    }

    /// As `redrive`, but only while this run is the last one.
    pub(crate) async fn redrive_run(
        &self,
        request: RequestId,
        why: Why,
        only: Option<Run>,
    ) -> Result<Receipt, ExecuteError> {
        // Let the domain refuse first: only a request that can be redriven can be too old for it.
        self.would(request, only).await?;
        let redriven = self.log.execute(request, self.command(why, only)).await;
        self.done(request, redriven)
    }

    /// The event of a redrive. It names the tasks that run again.
    pub async fn redriven(
        &self,
        request: RequestId,
        receipt: Receipt,
    ) -> Result<Option<Redriven>, Error> {
        let commits = self.log.read(request, receipt.sequence.before()).await?;
        let mut events = commits.into_iter().flat_map(|commit| commit.events);
        Ok(events.find_map(|event| match event {
            Event::Redriven(redriven) => Some(redriven),
            _ => None,
        }))
    }

    /// Decides a redrive and commits nothing.
    pub async fn would_redrive(&self, request: RequestId) -> Result<(), ExecuteError> {
        self.would(request, None).await
    }

    async fn would(&self, request: RequestId, only: Option<Run>) -> Result<(), ExecuteError> {
        let decided = self
            .log
            .decide(request, self.command(Why::none(), only))
            .await;
        // Another process may continue the request, so the cached state may be stale.
        self.log.forget(request);
        decided?;
        if self.is_too_old(request).await? {
            return Err(Rejection::TooOld.into());
        }
        Ok(())
    }

    fn command(&self, why: Why, only: Option<Run>) -> Command {
        let Why {
            by,
            on_behalf_of,
            reason,
        } = why;
        Command::Redrive {
            by,
            on_behalf_of,
            reason,
            now: Timestamp::now(),
            rules: self.rules,
            only,
        }
    }

    /// Whether the log may lose the first commit of a request while the request runs again. The rest
    /// would no longer be a request and would never end.
    async fn is_too_old(&self, request: RequestId) -> Result<bool, Error> {
        let log_age = self.log.max_age(request).await?;
        if log_age.is_zero() {
            return Ok(false);
        }
        let page = self.log.read_page(request, Sequence::NONE, 1).await?;
        let lost_at = page
            .commits
            .first()
            .map(|first| first.at.checked_add(log_age));
        let ends_by = Timestamp::now().checked_add(self.needed);
        Ok(matches!((lost_at, ends_by), (Some(Ok(lost_at)), Ok(ends_by)) if lost_at < ends_by))
    }
}

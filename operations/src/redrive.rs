use domain::request::{Command, Event, Redriven, Rejection, RequestId, Sequence};
use jiff::Timestamp;
use nats::{Error, ExecuteError, Receipt};

use crate::{Operations, Why};

/// A request that runs again.
#[derive(Clone, Debug)]
pub struct Redrive {
    /// The proof that the command was obeyed.
    pub receipt: Receipt,
    /// The event that says what runs again.
    pub redriven: Option<Redriven>,
}

impl Operations {
    /// Runs the failed tasks of a request again.
    pub async fn redrive(&self, request: RequestId, why: Why) -> Result<Redrive, ExecuteError> {
        // The domain refuses first: only a request that can be redriven may be too old for it.
        self.would_redrive(request).await?;
        let redriven = self.log.execute(request, self.command(why)).await;
        let receipt = self.done(request, redriven)?;
        let commits = self.log.read(request, receipt.sequence.before()).await?;
        let mut events = commits.into_iter().flat_map(|commit| commit.events);
        let redriven = events.find_map(|event| match event {
            Event::Redriven(redriven) => Some(redriven),
            _ => None,
        });
        Ok(Redrive { receipt, redriven })
    }

    /// Decides a redrive and commits nothing.
    pub async fn would_redrive(&self, request: RequestId) -> Result<(), ExecuteError> {
        let command = self.command(Why::none());
        self.log.decide(request, command).await?;
        if self.is_too_old(request).await? {
            return Err(Rejection::TooOld.into());
        }
        Ok(())
    }

    fn command(&self, why: Why) -> Command {
        let Why { by, reason } = why;
        Command::Redrive {
            by,
            reason,
            now: Timestamp::now(),
            rules: self.rules,
        }
    }

    /// Whether the log may lose the first commit of a request while the request runs again. The rest
    /// would no longer be a request and would never end.
    async fn is_too_old(&self, request: RequestId) -> Result<bool, Error> {
        let log_age = self.log.max_age(request).await?;
        if log_age.is_zero() {
            return Ok(false);
        }
        let commits = self.log.read(request, Sequence::NONE).await?;
        let lost_at = commits.first().map(|first| first.at.checked_add(log_age));
        let ends_by = Timestamp::now().checked_add(self.needed);
        Ok(matches!((lost_at, ends_by), (Some(Ok(lost_at)), Ok(ends_by)) if lost_at < ends_by))
    }
}

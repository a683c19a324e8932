use domain::request::{Command, RequestId};
use nats::{ExecuteError, Receipt};

use crate::{Operations, Why};

impl Operations {
    /// Cancels a request. A cancelled request stays as it is.
    pub async fn cancel(&self, request: RequestId, why: Why) -> Result<Receipt, ExecuteError> {
        let cancelled = self.log.execute(request, command(why)).await;
        self.done(request, cancelled)
    }

    /// Decides a cancellation and commits nothing.
    pub async fn would_cancel(&self, request: RequestId) -> Result<(), ExecuteError> {
        let decided = self.log.decide(request, command(Why::none())).await;
        // Another process may continue the request, so the cached state may be stale.
        self.log.forget(request);
        decided.map(|_| ())
    }
}

fn command(why: Why) -> Command {
    let Why {
        by,
        on_behalf_of,
        reason,
    } = why;
    Command::Cancel {
        by,
        on_behalf_of,
        reason,
    }
}

use domain::request::{Command, RequestId};
use nats::{ExecuteError, Receipt};

use crate::{Operations, Why};

impl Operations {
    /// Cancels a request. A cancelled request stays as it is.
    pub async fn cancel(&self, request: RequestId, why: Why) -> Result<Receipt, ExecuteError> {
        let Why {
            by,
            on_behalf_of,
            reason,
        } = why;
        let cancel = Command::Cancel {
            by,
            on_behalf_of,
            reason,
        };
        let cancelled = self.log.execute(request, cancel).await;
        self.done(request, cancelled)
    }
}

//! Waiting until the items of an operation were asked for.

use std::time::Duration;

use domain::bulk::OperationId;
use nats::Error;
use tokio::time::Instant;

use super::Folded;
use crate::Operations;

/// How long a caller of the routes and commands from before waits for the answers.
pub const ANSWERS_WITHIN: Duration = Duration::from_secs(20);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Operations {
    /// Waits until nothing of an operation waits to be asked for, or until the time is over. Returns
    /// the operation as it then is.
    pub async fn answered(&self, id: OperationId, limit: Duration) -> Result<Folded, Error> {
        let begun = Instant::now();
        loop {
            let folded = self.bulk_operation(id).await?;
            let folded = folded.ok_or_else(|| Error::Missing(format!("operation {id}")))?;
            let counts = folded.operation().map(|operation| operation.counts);
            let answered = counts.is_none_or(|counts| counts.waiting + counts.asking == 0);
            if answered || begun.elapsed() >= limit {
                return Ok(folded);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

//! The execution of bulk operations, by the one orchestrator that holds their lease.

use std::time::Duration;

use operations::{Executor, Operations};
use runtime::{Deployment, Documents, Shutdown};

use crate::context::Context;

/// The pause between two turns of the operations.
const TURN_EVERY: Duration = Duration::from_millis(250);
/// The pause after a turn that failed.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// Executes bulk operations until the process ends.
pub async fn run(executor: Executor, shutdown: Shutdown) {
    let mut executor = executor;
    let mut pause = TURN_EVERY;
    while shutdown.pause(pause).await {
        let turned = shutdown.unless_hard(Box::pin(executor.round())).await;
        pause = match turned {
            None => return,
            Some(Ok(true)) => Duration::ZERO,
            Some(Ok(false)) => TURN_EVERY,
            Some(Err(error)) => {
                tracing::warn!(%error, "the bulk operations cannot go on now");
                AFTER_ERROR
            }
        };
    }
    shutdown.unless_hard(executor.hand_over()).await;
}

/// The executor of an orchestrator.
pub fn of(context: &Context, deployment: &Deployment) -> Executor {
    let operations = Operations::new(
        context.connection.clone(),
        context.log.clone(),
        Documents::default(),
        deployment,
    );
    Executor::new(operations, deployment.takeover_after)
}

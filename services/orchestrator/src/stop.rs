//! Stopping the tasks of a request that has ended.

use domain::request::RequestId;
use nats::Stop;

use crate::context::Context;
use crate::error::Error;

/// Withdraws the waiting tasks and stops the running ones. It waits until a dispatch in progress
/// has noticed the end and released the lock, so that no task is sent afterward.
pub async fn tasks(context: &Context, request: RequestId) -> Result<(), Error> {
    let work = context.work(request);
    let _work = work.lock().await;
    tasks_of_ended(context, request).await
}

/// Does the same as `tasks` for a caller that already holds the lock on the request's work.
pub async fn tasks_of_ended(context: &Context, request: RequestId) -> Result<(), Error> {
    // Read `up_to` before the request. Tasks that a redrive sends after that read have a higher
    // sequence and are not withdrawn.
    let up_to = context.tasks.last_sequence().await?;
    let run = {
        let loaded = context.load_current(request).await?;
        match loaded.state().request() {
            Some(request) if request.status().is_terminal() => request.run,
            _ => return Ok(()),
        }
    };
    let taken_back = context.tasks.take_back(request, up_to).await?;
    // Only now: a task that was not withdrawn is with a worker, and this notice stops it.
    context.tasks.tell_to_stop(Stop { request, run }).await?;
    tracing::info!(%request, taken_back, "stopped the tasks of a request");
    Ok(())
}

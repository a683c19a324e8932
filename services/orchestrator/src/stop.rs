//! What becomes of the tasks of a request that has ended.

use domain::request::RequestId;
use nats::Stop;

use crate::context::Context;
use crate::error::Error;

/// Takes the tasks that wait back, and has those that run stopped. A dispatch that is under way
/// notices the end and lets go first, so that nothing is sent after this.
pub async fn tasks(context: &Context, request: RequestId) -> Result<(), Error> {
    let work = context.work(request);
    let _work = work.lock().await;
    tasks_of_ended(context, request).await
}

/// The same, for whoever holds the request's work.
pub async fn tasks_of_ended(context: &Context, request: RequestId) -> Result<(), Error> {
    // In this order: what a redrive sends after the look at the request comes after `up_to`.
    let up_to = context.tasks.last_sequence().await?;
    let run = {
        let loaded = context.load_current(request).await?;
        match loaded.state().request() {
            Some(request) if request.status().is_terminal() => request.redrives,
            _ => return Ok(()),
        }
    };
    let taken_back = context.tasks.take_back(request, up_to).await?;
    // Only now: whatever a worker was given before is with it, and is stopped by this.
    context.tasks.tell_to_stop(Stop { request, run }).await?;
    tracing::info!(%request, taken_back, "its tasks are stopped");
    Ok(())
}

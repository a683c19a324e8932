//! The public form of events.

use domain::request::{Event, Recorded};
use futures::future::try_join_all;
use nats::{Commit, Error, Feed};
use serde_json::{Value, json};

/// Publishes the public events of these commits and waits until the broker has them.
pub async fn publish(feed: &Feed, commits: &[Commit]) -> Result<(), Error> {
    let events = commits.iter().flat_map(Commit::recorded);
    let publishing = events.filter_map(|recorded| {
        let data = data(&recorded)?;
        Some(async move { feed.publish(&recorded, &data).await })
    });
    try_join_all(publishing).await.map(|_| ())
}

/// The data of an event as the feed has it; none for an event that is not public. Documents
/// and results are not in the feed: whoever wants them reads them.
fn data(recorded: &Recorded<Event>) -> Option<Value> {
    let mut data = match &recorded.event {
        Event::Received(received) => json!({
            "groups": received.groups,
            "metadata": received.metadata,
            "submitter": received.submitter,
        }),
        // A fork is told by its own `received`; what it took over was told before.
        Event::TaskSucceeded(_) | Event::Forked(_) => return None,
        Event::ResourcesCaptured(captured) => {
            let uris: Vec<&str> = captured.resources.iter().map(|r| r.uri.as_str()).collect();
            json!({ "uris": uris })
        }
        Event::GroupStarted(started) => json!({
            "group": started.group,
            "name": started.name,
            "tasks": started.tasks,
            "deadline": started.deadline,
        }),
        Event::TaskFailed(failed) => json!({
            "group": failed.group,
            "task": failed.task,
            "attempt": failed.attempt,
            "next": failed.next,
        }),
        Event::GroupTimedOut { group } | Event::GroupCompleted { group } => {
            json!({ "group": group })
        }
        Event::Succeeded(succeeded) => json!({ "responseBytes": succeeded.response.size() }),
        Event::Failed(failed) => json!({ "failure": failed.failure }),
        Event::Cancelled(cancelled) => json!({ "by": cancelled.by, "reason": cancelled.reason }),
        Event::Redriven(redriven) => json!({
            "by": redriven.by,
            "reason": redriven.reason,
            "group": redriven.group,
            "tasks": redriven.tasks,
        }),
    };
    data["requestId"] = json!(recorded.request);
    Some(data)
}

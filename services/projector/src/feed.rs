//! The public form of events.

use domain::request::{Event, Recorded};
use nats::{Commit, Error, Feed, Sent};
use serde_json::{Value, json};

/// How many events are sent before their answers are awaited: fewer than may be in flight.
const SENT_AT_ONCE: usize = 1_000;

/// Publishes the public events of these commits and waits until the broker has them.
pub async fn publish(feed: &Feed, commits: &[Commit]) -> Result<(), Error> {
    let mut sent = Vec::new();
    for recorded in commits.iter().flat_map(Commit::recorded) {
        if let Some(data) = data(&recorded) {
            sent.push(feed.send(&recorded, &data).await?);
        }
        if sent.len() == SENT_AT_ONCE {
            answers(std::mem::take(&mut sent)).await?;
        }
    }
    answers(sent).await
}

async fn answers(sent: Vec<Sent>) -> Result<(), Error> {
    for sent in sent {
        sent.answer().await?;
    }
    Ok(())
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

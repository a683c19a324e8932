//! The public events of the log, on their way to the feed.

use domain::feed::CloudEvent;
use domain::request::Event;
use nats::{Commit, Error, Feed, Sent};

/// How many events are sent before their answers are awaited: fewer than may be in flight.
const SENT_AT_ONCE: usize = 1_000;

/// Publishes the public events of these commits and waits until the broker has them. A task's
/// success is no event of the feed: there are many, and their results are read elsewhere.
pub async fn publish(feed: &Feed, commits: &[Commit]) -> Result<(), Error> {
    let mut sent = Vec::new();
    for recorded in commits.iter().flat_map(Commit::recorded) {
        if !matches!(recorded.event, Event::TaskSucceeded(_)) {
            let name = recorded.event.name();
            sent.push(feed.send(name, &CloudEvent::of(&recorded)).await?);
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

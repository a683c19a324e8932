//! Publishing the public events of the log to the feed.

use nats::{Commit, Error, Feed};

/// Publishes the public events of these commits and waits until the broker has stored them. The
/// success of a task is not public: there are many, and their results are read elsewhere.
pub async fn publish(feed: &mut Feed, commits: &[Commit]) -> Result<(), Error> {
    let events = commits.iter().flat_map(Commit::borrowed);
    let public = events.filter(|recorded| recorded.event.kind().is_in_feed());
    feed.publish(&public.collect::<Vec<_>>()).await
}

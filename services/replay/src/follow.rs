//! Follows a request until it has ended.

use std::time::Duration;

use history::live::Live;
use history::story::Story;
use history::timeline;
use nats::Follower;

use crate::output::Paint;
use crate::show::{delta, entry_line};
use crate::{Error, Finding, line, page};

/// How often the request is read even without a notice. A commit may come between the first read
/// and the start of the follower.
const LOOK: Duration = Duration::from_secs(1);

/// Prints new events, line by line.
pub async fn request(live: &Live, story: Story, json: bool) -> Result<Finding, Error> {
    let mut follower = Follower::open(&live.connection, live.log.shards()).await?;
    let (mut sequence, mut last) = (story.sequence(), story.last_at());
    let mut ended = story.view.status.is_terminal();
    let paint = Paint::of_stdout();
    while !ended {
        let look = tokio::time::sleep(LOOK);
        tokio::pin!(look);
        loop {
            tokio::select! {
                notice = follower.next() => match notice? {
                    Some(notice) if notice.request != story.id => {}
                    _ => break,
                },
                () = &mut look => break,
            }
        }
        for commit in live.log.read(story.id, sequence).await? {
            for entry in timeline::entries(commit.recorded(), true) {
                if json {
                    page::line(&line::of_entry(&entry))?;
                } else {
                    let since = delta(Some(last), entry.at);
                    page::text(&entry_line(&entry, &since, paint))?;
                }
                last = entry.at;
            }
            sequence = commit.sequence;
            ended = commit.has_ended().unwrap_or(ended);
        }
    }
    Ok(Finding::Fine)
}

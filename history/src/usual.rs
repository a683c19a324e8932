//! The usual duration: how long the tasks of groups of one name took recently.

use std::collections::HashMap;

use domain::request::{Event, GroupIndex, RequestId, Sequence};
use nats::Scan;

use crate::Error;
use crate::live::Live;

/// How many of the newest commits the usual duration is computed from.
const COMMITS: u64 = 5_000;
/// The minimum number of tasks for a usual duration.
const ENOUGH: usize = 5;

/// The usual duration of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usual {
    /// The number of tasks.
    pub tasks: usize,
    /// The median, in milliseconds.
    pub median_ms: u64,
    /// The 95th percentile, in milliseconds.
    pub p95_ms: u64,
}

/// The usual duration of the tasks of groups of this name, in requests other than this one.
pub async fn of_group(
    live: &Live,
    except: RequestId,
    name: Option<&str>,
) -> Result<Option<Usual>, Error> {
    let shard = except.partition().shard(live.log.shards());
    let extent = live.connection.extent(shard).await?;
    let from = extent.last.minus(COMMITS).max(Sequence::FIRST);
    let mut scan = Scan::open(&live.connection, shard, from, extent.last).await?;
    let mut names: HashMap<(RequestId, GroupIndex), bool> = HashMap::new();
    let mut durations = Vec::new();
    while let Some(commits) = scan.next_each(crate::live::CHUNK).await? {
        let readable = commits.into_iter().filter_map(crate::live::readable);
        for commit in readable.filter(|commit| commit.request != except) {
            for event in &commit.events {
                match event {
                    Event::GroupStarted(e) => {
                        names.insert((commit.request, e.group), e.name.as_deref() == name);
                    }
                    Event::TaskSucceeded(e)
                        if names.get(&(commit.request, e.group)) == Some(&true) =>
                    {
                        durations.push(e.duration_ms);
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(of(durations))
}

/// The usual duration, from these durations; `None` if there are too few.
#[must_use]
pub fn of(mut durations: Vec<u64>) -> Option<Usual> {
    if durations.len() < ENOUGH {
        return None;
    }
    durations.sort_unstable();
    let at = |percent: usize| durations[(durations.len() - 1) * percent / 100];
    Some(Usual {
        tasks: durations.len(),
        median_ms: at(50),
        p95_ms: at(95),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_duration_needs_a_minimum_of_tasks() {
        assert_eq!(of(vec![1, 2, 3]), None);
        let usual = of((1..=100).collect()).unwrap();
        assert_eq!((usual.median_ms, usual.p95_ms), (50, 95));
    }
}

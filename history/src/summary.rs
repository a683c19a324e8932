//! The counts of a period, compared with those of the period before.

use std::collections::{BTreeMap, HashMap};

use domain::request::{Event, Given, GroupIndex, RequestId};
use jiff::{SignedDuration, Timestamp};
use nats::Commit;
use serde::Serialize;

use crate::Error;
use crate::live::Live;

/// The task type of attempts that do not record one.
const UNKNOWN: &str = "unknown";

/// The names and start times of the running groups.
pub type Groups = HashMap<(RequestId, GroupIndex), (String, Timestamp)>;

/// A period and the one before it.
pub struct Summary {
    /// The start of the period.
    pub since: Timestamp,
    /// The length of the period, and of the one before it.
    pub length: SignedDuration,
    /// The counts of the period.
    pub period: Tally,
    /// The counts of the period before.
    pub before: Tally,
}

impl Summary {
    /// Counts the period from `since` to `now`, and the one before it.
    pub async fn of(live: &Live, since: Timestamp, now: Timestamp) -> Result<Self, Error> {
        let length = now.duration_since(since);
        let from = since.checked_sub(length).unwrap_or(Timestamp::UNIX_EPOCH);
        let (mut before, mut period) = (Tally::default(), Tally::default());
        let mut groups = Groups::default();
        live.each(Some(from), |commit| {
            let tally = if commit.at < since {
                &mut before
            } else {
                &mut period
            };
            tally.take_in(&commit, &mut groups);
            true
        })
        .await?;
        Ok(Self {
            since,
            length,
            period,
            before,
        })
    }
}

/// The counts of a period.
#[derive(Default)]
pub struct Tally {
    /// The number of events of each name.
    pub counts: BTreeMap<&'static str, u64>,
    /// The number of failures of each fingerprint.
    pub fingerprints: BTreeMap<String, u64>,
    /// The durations of the groups, by group name, in milliseconds.
    pub groups: BTreeMap<String, Vec<u64>>,
    /// The attempts, by group name.
    pub attempts: BTreeMap<String, Attempts>,
    /// The attempts, by task type; `unknown` if the log does not record it.
    pub task_types: BTreeMap<String, Attempts>,
}

/// The counts of a period, as JSON has them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told<'a> {
    /// The number of events of each name.
    pub counts: &'a BTreeMap<&'static str, u64>,
    /// The submissions per second.
    pub received_per_second: f64,
    /// The number of failures of each fingerprint.
    pub fingerprints: &'a BTreeMap<String, u64>,
    /// The durations of the groups, by group name.
    pub groups: BTreeMap<&'a String, Spread>,
    /// The attempts, by the name of the group.
    pub attempts: &'a BTreeMap<String, Attempts>,
    /// The attempts, by the type of the task.
    pub task_types: &'a BTreeMap<String, Attempts>,
}

/// The distribution of the durations of several groups.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    /// The number of groups.
    pub count: usize,
    /// The median, in milliseconds.
    pub median_ms: u64,
    /// The 95th percentile, in milliseconds.
    pub p95_ms: u64,
}

/// The number of attempts.
#[derive(Clone, Copy, Default, Serialize)]
pub struct Attempts {
    /// All attempts.
    pub attempts: u64,
    /// The attempts that failed.
    pub failed: u64,
}

impl Attempts {
    fn take_in(&mut self, failed: u64) {
        self.attempts += 1;
        self.failed += failed;
    }
}

impl Tally {
    /// Counts the events of a commit.
    pub fn take_in(&mut self, commit: &Commit, groups: &mut Groups) {
        let unnamed = || "-".to_owned();
        for event in &commit.events {
            *self.counts.entry(event.name()).or_default() += 1;
            match event {
                Event::GroupStarted(e) => {
                    let name = e.name.clone().unwrap_or_else(unnamed);
                    groups.insert((commit.request, e.group), (name, commit.at));
                }
                Event::GroupCompleted { group } => {
                    if let Some((name, started)) = groups.remove(&(commit.request, *group)) {
                        let took = commit.at.duration_since(started).as_millis();
                        let took = u64::try_from(took).unwrap_or(0);
                        self.groups.entry(name).or_default().push(took);
                    }
                }
                Event::TaskSucceeded(e) => {
                    self.attempt(groups, (commit.request, e.group), e.given.as_ref(), 0);
                }
                Event::TaskFailed(e) => {
                    self.attempt(groups, (commit.request, e.group), e.given.as_ref(), 1);
                }
                Event::Failed(e) => {
                    *self
                        .fingerprints
                        .entry(e.failure.fingerprint())
                        .or_default() += 1;
                }
                _ => {}
            }
        }
    }

    fn attempt(
        &mut self,
        groups: &Groups,
        group: (RequestId, GroupIndex),
        given: Option<&Given>,
        failed: u64,
    ) {
        let name = groups.get(&group).map_or("-", |(name, _)| name.as_str());
        let by_group = self.attempts.entry(name.to_owned()).or_default();
        by_group.take_in(failed);
        let task_type = given.map_or(UNKNOWN, |given| given.task_type.as_str());
        let by_type = self.task_types.entry(task_type.to_owned()).or_default();
        by_type.take_in(failed);
    }

    /// The durations of the groups, by group name.
    #[must_use]
    pub fn spreads(&self) -> BTreeMap<&String, Spread> {
        let spread = |took: &Vec<u64>| {
            let mut took = took.clone();
            took.sort_unstable();
            let at = |percent: usize| took[(took.len() - 1) * percent / 100];
            Spread {
                count: took.len(),
                median_ms: at(50),
                p95_ms: at(95),
            }
        };
        self.groups
            .iter()
            .map(|(name, took)| (name, spread(took)))
            .collect()
    }

    /// The counts as JSON has them, for a period of this length.
    #[must_use]
    pub fn told(&self, length: SignedDuration) -> Told<'_> {
        let received = self.counts.get("received").copied().unwrap_or(0);
        Told {
            counts: &self.counts,
            received_per_second: f64_of(received) / length.as_secs_f64().max(0.001),
            fingerprints: &self.fingerprints,
            groups: self.spreads(),
            attempts: &self.attempts,
            task_types: &self.task_types,
        }
    }
}

/// A count as a floating-point number.
#[allow(clippy::cast_precision_loss)] // Counts of events are far below 2^52.
#[must_use]
pub fn f64_of(number: u64) -> f64 {
    number as f64
}

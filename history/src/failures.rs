//! The failures of a period, in clusters of the same cause.

use std::collections::{BTreeMap, HashSet};

use domain::access::Scope;
use domain::request::{Event, Fault, Next, RequestId, TaskFailed};
use jiff::{SignedDuration, Timestamp};
use nats::Commit;

use crate::Error;
use crate::source::Source;

/// The parts into which a period is divided.
pub const PARTS: usize = 30;
/// How many requests of a cluster are counted one by one.
const REQUESTS_MAX: usize = 100_000;
/// How many requests of a cluster are named.
const SAMPLES: usize = 3;
/// How much of a signature is kept, in characters.
const SIGNATURE_CHARS: usize = 200;

/// The failures of a period.
#[derive(Clone, Debug)]
pub struct Failures {
    /// The start of the period.
    pub since: Timestamp,
    /// The end of the period.
    pub until: Timestamp,
    /// The clusters, those that grew most first.
    pub clusters: Vec<Cluster>,
    /// The attempts of the period by worker.
    pub workers: BTreeMap<String, u64>,
    /// The attempts of the period by task type.
    pub task_types: BTreeMap<String, u64>,
    /// The attempts of the period.
    pub attempts: u64,
}

/// Failures of the same cause.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The code and the cause, without what differs from case to case.
    pub signature: String,
    /// The code.
    pub code: String,
    /// A message as it was recorded.
    pub sample: String,
    /// How many attempts failed so, or requests where no attempt did.
    pub count: u64,
    /// How many did in the period of the same length before.
    pub before: u64,
    /// How many gave a task up.
    pub given_up: u64,
    /// The first of the period.
    pub first: Timestamp,
    /// The last of the period.
    pub last: Timestamp,
    /// The requests.
    pub requests: usize,
    /// The newest requests.
    pub samples: Vec<RequestId>,
    /// The failures by worker.
    pub workers: BTreeMap<String, u64>,
    /// The failures by task type.
    pub task_types: BTreeMap<String, u64>,
    /// The failures in each part of the period.
    pub parts: [u64; PARTS],
}

impl Failures {
    /// Reads the failures of the tenants of a scope from `since` to `until`, and counts those of
    /// the period before.
    pub async fn of(
        source: &Source,
        scope: &Scope,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Self, Error> {
        let length = until.duration_since(since);
        let from = since.checked_sub(length).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut fold = Fold::new(since, until);
        source
            .each(Some(from), |commit| {
                if scope.includes(&commit.tenant) {
                    fold.take_in(&commit);
                }
                true
            })
            .await?;
        Ok(fold.failures())
    }
}

/// A cluster while it is counted.
struct Counted {
    cluster: Cluster,
    requests: HashSet<RequestId>,
}

/// The fold that counts failures.
struct Fold {
    since: Timestamp,
    until: Timestamp,
    clusters: BTreeMap<String, Counted>,
    workers: BTreeMap<String, u64>,
    task_types: BTreeMap<String, u64>,
    attempts: u64,
}

impl Fold {
    fn new(since: Timestamp, until: Timestamp) -> Self {
        Self {
            since,
            until,
            clusters: BTreeMap::new(),
            workers: BTreeMap::new(),
            task_types: BTreeMap::new(),
            attempts: 0,
        }
    }

    fn take_in(&mut self, commit: &Commit) {
        if commit.at > self.until {
            return;
        }
        for event in &commit.events {
            match event {
                Event::TaskSucceeded(e) => {
                    let task_type = e.given.as_ref().map(|given| given.task_type.as_str());
                    self.attempt(commit.at, &e.worker, task_type);
                }
                Event::TaskFailed(e) => {
                    let task_type = e.given.as_ref().map(|given| given.task_type.as_str());
                    self.attempt(commit.at, &e.attempt.worker, task_type);
                    self.failed(commit, e);
                }
                // A failure of tasks is counted with their attempts.
                Event::Failed(e) if e.failure.tasks.is_empty() => {
                    let fault = Fault {
                        code: e.failure.code.clone(),
                        message: e.failure.message.clone(),
                        causes: Vec::new(),
                    };
                    self.count(commit, &fault, |_| {});
                }
                _ => {}
            }
        }
    }

    fn attempt(&mut self, at: Timestamp, worker: &str, task_type: Option<&str>) {
        if at < self.since {
            return;
        }
        self.attempts += 1;
        add(&mut self.workers, worker);
        if let Some(task_type) = task_type {
            add(&mut self.task_types, task_type);
        }
    }

    fn failed(&mut self, commit: &Commit, failed: &TaskFailed) {
        self.count(commit, &failed.attempt.fault, |cluster| {
            add(&mut cluster.workers, &failed.attempt.worker);
            if let Some(given) = &failed.given {
                add(&mut cluster.task_types, &given.task_type);
            }
            cluster.given_up += u64::from(matches!(failed.next, Next::DeadLetter(_)));
        });
    }

    fn count(&mut self, commit: &Commit, fault: &Fault, more: impl FnOnce(&mut Cluster)) {
        let signature = signature(fault);
        let begun = || Counted::begun(&signature, fault, commit.at);
        let counted = self.clusters.entry(signature.clone()).or_insert_with(begun);
        let cluster = &mut counted.cluster;
        if commit.at < self.since {
            cluster.before += 1;
            return;
        }
        if cluster.count == 0 {
            cluster.first = commit.at;
        }
        cluster.count += 1;
        cluster.last = commit.at;
        cluster.parts[part(self.since, self.until, commit.at)] += 1;
        more(cluster);
        if counted.requests.len() < REQUESTS_MAX {
            counted.requests.insert(commit.request);
        }
        cluster.samples.retain(|known| *known != commit.request);
        cluster.samples.insert(0, commit.request);
        cluster.samples.truncate(SAMPLES);
    }

    fn failures(self) -> Failures {
        let counted = self.clusters.into_values();
        let mut clusters: Vec<Cluster> = counted
            .map(|counted| Cluster {
                requests: counted.requests.len(),
                ..counted.cluster
            })
            .filter(|cluster| cluster.count > 0)
            .collect();
        clusters.sort_by_key(|cluster| std::cmp::Reverse((grown(cluster), cluster.count)));
        Failures {
            since: self.since,
            until: self.until,
            clusters,
            workers: self.workers,
            task_types: self.task_types,
            attempts: self.attempts,
        }
    }
}

/// By how much a cluster grew, in hundredths of what it was before.
fn grown(cluster: &Cluster) -> u64 {
    cluster.count.saturating_mul(100) / cluster.before.max(1)
}

impl Counted {
    fn begun(signature: &str, fault: &Fault, at: Timestamp) -> Self {
        Self {
            cluster: Cluster {
                signature: signature.to_owned(),
                code: fault.code.clone(),
                sample: told(fault),
                count: 0,
                before: 0,
                given_up: 0,
                first: at,
                last: at,
                requests: 0,
                samples: Vec::new(),
                workers: BTreeMap::new(),
                task_types: BTreeMap::new(),
                parts: [0; PARTS],
            },
            requests: HashSet::new(),
        }
    }
}

fn add(counts: &mut BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => {
            counts.insert(name.to_owned(), 1);
        }
    }
}

/// The part of a period in which a time lies.
fn part(since: Timestamp, until: Timestamp, at: Timestamp) -> usize {
    let whole = until
        .duration_since(since)
        .max(SignedDuration::from_millis(1));
    let passed = at.duration_since(since).as_millis().max(0);
    let part = passed * PARTS as i128 / whole.as_millis();
    usize::try_from(part).unwrap_or(0).min(PARTS - 1)
}

/// A fault in one line: the message, and the first line of the last cause, which for a program is
/// what it wrote last.
#[must_use]
pub fn told(fault: &Fault) -> String {
    let cause = fault.causes.last().and_then(|cause| {
        let mut lines = cause.lines().map(str::trim);
        lines.find(|line| !line.is_empty())
    });
    match cause {
        Some(cause) => format!("{}: {cause}", fault.message),
        None => fault.message.clone(),
    }
}

/// What faults of the same cause have in common: the code, and the message without numbers, ids,
/// paths and quoted text.
#[must_use]
pub fn signature(fault: &Fault) -> String {
    let told = told(fault);
    let mut words = Vec::new();
    let mut quoted_by = None;
    for word in told.split_whitespace() {
        let opens = word.chars().next().filter(|c| "'\"`".contains(*c));
        let closes = |quote: char| {
            word.trim_end_matches([',', '.', ':', ';', ')'])
                .ends_with(quote)
        };
        match (quoted_by, opens) {
            (Some(quote), _) => {
                if closes(quote) {
                    quoted_by = None;
                }
            }
            (None, Some(quote)) => {
                let is_whole = word.len() > 1 && closes(quote);
                quoted_by = (!is_whole).then_some(quote);
                words.push("…".to_owned());
            }
            (None, None) => words.push(plain(word)),
        }
    }
    words.dedup();
    let text: String = words.join(" ").chars().take(SIGNATURE_CHARS).collect();
    format!("{}: {text}", fault.code)
}

/// A word without what differs from case to case.
fn plain(word: &str) -> String {
    let is_path = word.contains('/') && word.len() > 1;
    let is_specific = word.chars().any(|c| c.is_ascii_digit());
    if is_path || is_specific {
        let end: String = word
            .chars()
            .rev()
            .take_while(|c| ",;:.)".contains(*c))
            .collect();
        return format!("…{}", end.chars().rev().collect::<String>());
    }
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(code: &str, message: &str, cause: Option<&str>) -> Fault {
        Fault {
            code: code.into(),
            message: message.into(),
            causes: cause.map(str::to_owned).into_iter().collect(),
        }
    }

    #[test]
    fn faults_that_differ_in_numbers_paths_and_quoted_text_have_one_signature() {
        let one = fault(
            "exit-75",
            "ended with 75",
            Some("pricer-b7:7001 timed out after 2000 ms\n"),
        );
        let other = fault(
            "exit-75",
            "ended with 75",
            Some("pricer-c2:7002 timed out after 31 ms"),
        );
        assert_eq!(signature(&one), signature(&other));
        assert_eq!(
            signature(&one),
            "exit-75: ended with …: … timed out after … ms"
        );
        let quoted = fault("x", "no point 'EUR 6M' in \"/data/a b\", stop", None);
        assert_eq!(signature(&quoted), "x: no point … in … stop");
        let another = fault("exit-75", "ended with 75", Some("no license"));
        assert_ne!(signature(&one), signature(&another));
    }

    #[test]
    fn a_failure_is_counted_in_its_part_of_the_period() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        assert_eq!(part(at(0), at(60), at(0)), 0);
        assert_eq!(part(at(0), at(60), at(31)), 15);
        assert_eq!(part(at(0), at(60), at(60)), PARTS - 1);
    }
}

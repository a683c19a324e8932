//! The checks at the end of a run. Each says all that it found, and none keeps another from being
//! made.

mod feed;
mod queues;
mod requests;
mod tools;

use std::collections::BTreeMap;

use crate::cluster::Cluster;
use crate::ledger::{Finding, Record};
use crate::stored::Log;

/// Every check, with what it asserts. A finding names one of them.
pub const CHECKS: [(&str, &str); 18] = [
    ("accepted", "every request was accepted in the end"),
    (
        "ended",
        "every accepted request ended, for its caller too, within 60 s of healing",
    ),
    (
        "drained",
        "within 60 s of healing no task, report or commit waited any more",
    ),
    ("in-the-log", "every accepted request is in the log"),
    (
        "one-received",
        "every request was received once, and every commit follows the one before",
    ),
    (
        "one-end",
        "every request has one end, which is the planned one",
    ),
    (
        "tasks",
        "every task has one result, and none failed that was not to fail",
    ),
    ("results", "every result and failure is right, on both APIs"),
    ("one-per-key", "no key has two requests"),
    (
        "not-taken-in",
        "no submission was stored whose answer said it was not",
    ),
    ("no-404", "no 404 or 410 after a request was accepted"),
    (
        "never-back",
        "no API answered with an older state than the caller had seen",
    ),
    (
        "feed",
        "the feed has every public event, in order, and under 0.1 % twice",
    ),
    ("webhooks", "the webhook of every end was delivered"),
    (
        "dead-letters",
        "the dead letters are those of the tasks that were to fail",
    ),
    (
        "views",
        "every view is the fold of its log (`replay verify --all`)",
    ),
    ("stuck", "no request is stuck (`requests stuck`)"),
    (
        "processes",
        "no process panicked, or ended by itself once it had started",
    ),
];

/// What the checks found, and the figures that they came by.
#[derive(Default)]
pub struct Checked {
    pub findings: Vec<Finding>,
    /// Figures for the report: a name and a text.
    pub figures: Vec<(&'static str, String)>,
}

impl Checked {
    pub fn found(&mut self, check: &'static str, about: impl Into<String>, text: String) {
        let about = about.into();
        self.findings.push(Finding { check, about, text });
    }

    fn figure(&mut self, name: &'static str, text: String) {
        self.figures.push((name, text));
    }
}

/// Makes every check.
pub async fn all(cluster: &Cluster, shards: u8, records: &[Record]) -> anyhow::Result<Checked> {
    let mut checked = Checked::default();
    for record in records {
        checked.findings.extend(record.findings.iter().cloned());
    }
    let jetstream = cluster.jetstream();
    let log = Log::read(&jetstream, shards).await?;
    let by_name = requests::by_name(&log);
    requests::check(&log, records, &by_name, &mut checked);
    requests::executions(cluster, &log, &mut checked);
    feed::check(&jetstream, &log, &mut checked).await?;
    feed::webhooks(&cluster.receiver, &log, &mut checked);
    queues::dead_letters(&jetstream, &log, &mut checked).await?;
    queues::nothing_waits(&jetstream, &mut checked).await?;
    queues::timers(&jetstream, &mut checked).await?;
    tools::verify(cluster, &mut checked).await;
    tools::stuck(cluster, &mut checked).await;
    processes(cluster, &mut checked).await;
    Ok(checked)
}

pub use queues::waiting;

/// Reads the logs of all processes for panics and errors.
async fn processes(cluster: &Cluster, checked: &mut Checked) {
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    let mut starts: BTreeMap<String, usize> = BTreeMap::new();
    for role in &cluster.roles.all {
        let process = &role.process;
        for end in process.own_ends().await {
            if end.is_failed_start() {
                *starts.entry(end.reason).or_default() += 1;
            } else {
                checked.found("processes", process.name(), end.to_string());
            }
        }
        let text = std::fs::read_to_string(process.log()).unwrap_or_default();
        for line in text.lines() {
            if line.contains("panicked at") {
                checked.found("processes", process.name(), line.to_owned());
            }
            for level in [" WARN ", " ERROR "] {
                if line.contains(level) {
                    let role = process.name().split('-').next().unwrap_or("");
                    *lines
                        .entry(format!("{role}{}", level.trim_end()))
                        .or_default() += 1;
                }
            }
        }
    }
    for server in cluster.brokers.servers.iter().chain(&cluster.redis.servers) {
        for end in server.own_ends().await {
            checked.found("processes", server.name(), end.to_string());
        }
    }
    checked.figure("starts that failed", counted(&starts));
    checked.figure("log lines", counted(&lines));
}

/// Counts as a text.
pub fn counted<K: std::fmt::Display>(counts: &BTreeMap<K, usize>) -> String {
    let counts = counts.iter();
    let all: Vec<String> = counts
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    if all.is_empty() {
        "none".into()
    } else {
        all.join(", ")
    }
}

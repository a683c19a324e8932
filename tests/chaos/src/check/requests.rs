//! The ledger of the callers against the log.

use std::collections::{BTreeMap, HashMap};

use crate::check::{Checked, counted};
use crate::cluster::Cluster;
use crate::documents::Plan;
use crate::ledger::Record;
use crate::stored::{Event, Log};
use crate::valuer::{FLAKED, REFUSED};

/// The requests in the log by the name that their submission gave them.
pub fn by_name(log: &Log) -> HashMap<String, Vec<String>> {
    let mut names: HashMap<String, Vec<String>> = HashMap::new();
    for (id, events) in &log.requests {
        let received = events.iter().find(|event| event.kind == "received");
        let name = received.and_then(|event| event.data["metadata"]["x-label-chaos"].as_str());
        if let Some(name) = name {
            names.entry(name.to_owned()).or_default().push(id.clone());
        }
    }
    names
}

pub fn check(
    log: &Log,
    records: &[Record],
    by_name: &HashMap<String, Vec<String>>,
    checked: &mut Checked,
) {
    for (request, text) in &log.broken {
        checked.found("one-received", request, text.clone());
    }
    let none = Vec::new();
    let mut further = 0;
    for record in records {
        let ids = by_name.get(&record.name).unwrap_or(&none);
        if let Some(id) = &record.id
            && !ids.contains(id)
        {
            checked.found("in-the-log", format!("{} {id}", record.name), "LOST".into());
        }
        for id in ids {
            let about = format!("{} {id}", record.name);
            request(record, &about, &log.requests[id], checked);
        }
        further += copies(record, ids, checked);
    }
    let mut commits = BTreeMap::new();
    commits.insert("commits", log.commits);
    commits.insert("requests", log.requests.len());
    commits.insert("second runs of unkeyed submissions", further);
    checked.figure("log", counted(&commits));
}

/// Checks how many requests one submission became, and returns how many more than one.
fn copies(record: &Record, ids: &[String], checked: &mut Checked) -> usize {
    let more = ids.len().saturating_sub(1);
    if more == 0 {
        return 0;
    }
    if record.keyed {
        checked.found("one-per-key", &record.name, format!("{ids:?}"));
    }
    // A request that the caller never got an answer about may be there once for each try.
    let known = usize::from(record.id.is_some());
    if ids.len() > known + record.perhaps_stored() {
        let tries: Vec<String> = record
            .tries
            .iter()
            .map(|one| format!("{:.3} api {} {}", one.at, one.api, one.answer))
            .collect();
        checked.found(
            "not-taken-in",
            &record.name,
            format!("{ids:?} of {tries:?}"),
        );
    }
    more
}

fn request(record: &Record, about: &str, events: &[Event], checked: &mut Checked) {
    let count = |kind: &str| events.iter().filter(|event| event.kind == kind).count();
    if count("received") != 1 {
        let text = format!("{} received", count("received"));
        checked.found("one-received", about, text);
    }
    let planned = if record.plan == Plan::Fails {
        "failed"
    } else {
        "succeeded"
    };
    let ends: Vec<&Event> = events.iter().filter(|event| event.is_end()).collect();
    if ends.len() != 1 || ends[0].kind != planned {
        let ends: Vec<String> = ends
            .iter()
            .map(|end| format!("{} at {}", end.kind, end.sequence))
            .collect();
        let last = events
            .last()
            .map(|last| format!("{} at {}", last.kind, last.sequence));
        let text = format!("was to be {planned}; its ends: {ends:?}; its last event: {last:?}");
        checked.found("one-end", about, text);
    }
    tasks(record, about, events, checked);
}

fn tasks(record: &Record, about: &str, events: &[Event], checked: &mut Checked) {
    let mut results: BTreeMap<(u64, u64), usize> = BTreeMap::new();
    for event in events {
        if event.kind == "task-succeeded" {
            *results.entry(event.task()).or_default() += 1;
        }
        let given_up = event.kind == "task-failed" && event.data["next"]["dead-letter"].is_string();
        if given_up && !(record.plan == Plan::Fails && event.data["code"] == REFUSED) {
            let text = format!(
                "task {:?} was given up at {}: {} {}",
                event.task(),
                event.sequence,
                event.data["code"],
                event.data["message"]
            );
            checked.found("tasks", about, text);
        }
    }
    for (task, count) in results.iter().filter(|(_, count)| **count > 1) {
        checked.found("tasks", about, format!("task {task:?} has {count} results"));
    }
    let expected = record.tasks - usize::from(record.plan == Plan::Fails);
    let ended = events.iter().any(Event::is_end);
    if ended && results.len() != expected {
        let text = format!("{} tasks of {expected} have a result", results.len());
        checked.found("tasks", about, text);
    }
}

/// Counts the executions, and the attempts that failed for no plan.
pub fn executions(cluster: &Cluster, log: &Log, checked: &mut Checked) {
    let runs = cluster.valuer.runs();
    let all: u32 = runs.values().sum();
    let mut times: BTreeMap<u32, usize> = BTreeMap::new();
    for count in runs.values() {
        *times.entry(*count).or_default() += 1;
    }
    let times: Vec<String> = times
        .iter()
        .map(|(times, tasks)| format!("{tasks} ×{times}"))
        .collect();
    let text = format!("{all} of {} tasks: {}", runs.len(), times.join(", "));
    checked.figure("executions", text);
    let mut unplanned: BTreeMap<String, usize> = BTreeMap::new();
    let failures = log.requests.values().flatten();
    for event in failures.filter(|event| event.kind == "task-failed") {
        let code = event.data["code"].as_str().unwrap_or("");
        if code != REFUSED && code != FLAKED {
            *unplanned.entry(code.to_owned()).or_default() += 1;
        }
    }
    checked.figure("attempts that failed unplanned", counted(&unplanned));
}

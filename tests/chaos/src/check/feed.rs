//! The feed and the webhooks against the log.

use std::collections::{BTreeMap, HashMap, HashSet};

use async_nats::jetstream::Context;
use harness::Receiver;

use crate::check::Checked;
use crate::stored::{Log, read};

/// One in so many events may come twice.
const TWICE_MAX: usize = 1_000;

/// The ids of all public events, with their kinds.
fn public(log: &Log) -> BTreeMap<String, &str> {
    let mut ids = BTreeMap::new();
    for (request, events) in &log.requests {
        for event in events.iter().filter(|event| event.kind != "task-succeeded") {
            let id = format!("{request}:{}:{}", event.sequence, event.index);
            ids.insert(id, event.kind.as_str());
        }
    }
    ids
}

pub async fn check(jetstream: &Context, log: &Log, checked: &mut Checked) -> anyhow::Result<()> {
    let public = public(log);
    let mut told: HashMap<String, usize> = HashMap::new();
    let mut last: HashMap<String, (u64, u64)> = HashMap::new();
    let messages = read(jetstream, "LIFECYCLE").await?;
    for message in &messages {
        let id = message.header("ce-id");
        let times = told.entry(id.to_owned()).or_default();
        *times += 1;
        let mut parts = id.rsplitn(3, ':');
        let index = parts.next().and_then(|text| text.parse().ok()).unwrap_or(0);
        let sequence = parts.next().and_then(|text| text.parse().ok()).unwrap_or(0);
        let place = (sequence, index);
        let before = last
            .entry(parts.next().unwrap_or("").to_owned())
            .or_default();
        if *times == 1 && place < *before {
            let text = format!("at {} comes after {before:?}", message.sequence);
            checked.found("feed", id, text);
        }
        *before = (*before).max(place);
    }
    for (id, kind) in &public {
        if !told.contains_key(id) {
            checked.found("feed", id, format!("MISSING: {kind}"));
        }
    }
    for id in told.keys().filter(|id| !public.contains_key(*id)) {
        checked.found("feed", id, "the log has no such event".into());
    }
    let twice = messages.len() - told.len();
    let text = format!(
        "{} events, {} messages, {twice} of them again",
        public.len(),
        messages.len()
    );
    checked.figure("feed", text.clone());
    if twice * TWICE_MAX >= public.len().max(1) && twice > 0 {
        checked.found("feed", "duplicates", text);
    }
    Ok(())
}

/// Every end was delivered to the receiver.
pub fn webhooks(receiver: &Receiver, log: &Log, checked: &mut Checked) {
    let calls = receiver.calls();
    let ids = calls
        .iter()
        .filter_map(|call| call.headers.get("webhook-id"));
    let delivered: HashSet<&String> = ids.collect();
    let ends = ["succeeded", "failed", "cancelled"];
    let public = public(log);
    let ends: Vec<_> = public
        .iter()
        .filter(|(_, kind)| ends.contains(*kind))
        .collect();
    for (id, kind) in &ends {
        if !delivered.contains(id) {
            checked.found("webhooks", *id, format!("MISSING: {kind}"));
        }
    }
    let text = format!("{} ends, {} calls", ends.len(), calls.len());
    checked.figure("webhooks", text);
}

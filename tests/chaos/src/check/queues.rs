//! What is left in the streams that should be empty, and what the dead letters are about.

use std::collections::{BTreeMap, BTreeSet};

use async_nats::jetstream::Context;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::check::{Checked, counted};
use crate::stored::{Log, read};

/// The streams with work that is waiting. They are empty at rest.
const QUEUES: [&str; 2] = ["TASKS", "REPORTS"];
/// The marks by which lost queues are noticed stay in the queues.
const MARK: &str = "fill";
/// Timers lie beside the reports until they fire or are cleared.
const TIMER: &str = "timers.";

/// The messages that wait in the queues, and the commits that their readers have not done. Empty
/// at rest.
pub async fn waiting(jetstream: &Context) -> anyhow::Result<BTreeMap<String, usize>> {
    let mut waiting = BTreeMap::new();
    for queue in QUEUES {
        let stream = jetstream.get_stream(queue).await?;
        let subjects = stream.info_with_subjects(">").await?;
        let subjects: Vec<(String, usize)> = subjects.try_collect().await?;
        let left = subjects
            .iter()
            .filter(|(subject, _)| !subject.starts_with(MARK) && !subject.starts_with(TIMER));
        for (subject, count) in left {
            *waiting.entry(format!("{queue} {subject}")).or_default() += count;
        }
    }
    let streams: Vec<String> = jetstream.stream_names().try_collect().await?;
    for name in streams.iter().filter(|name| name.starts_with("REQUESTS_")) {
        let stream = jetstream.get_stream(name).await?;
        let mut consumers = stream.consumers();
        while let Some(consumer) = consumers.next().await {
            let consumer = consumer?;
            if consumer.config.durable_name.is_none() {
                continue;
            }
            let count = usize::try_from(consumer.num_pending)? + consumer.num_ack_pending;
            if count > 0 {
                waiting.insert(format!("{name} {}", consumer.name), count);
            }
        }
    }
    Ok(waiting)
}

pub async fn nothing_waits(jetstream: &Context, checked: &mut Checked) -> anyhow::Result<()> {
    for (what, count) in waiting(jetstream).await? {
        checked.found("drained", what, format!("{count} waiting"));
    }
    Ok(())
}

/// Counts the timers that are left. Clearing one is best effort, because a late one changes nothing.
pub async fn timers(jetstream: &Context, checked: &mut Checked) -> anyhow::Result<()> {
    let stream = jetstream.get_stream("REPORTS").await?;
    let subjects = stream.info_with_subjects(format!("{TIMER}>")).await?;
    let timers: Vec<(String, usize)> = subjects.try_collect().await?;
    checked.figure("timers left", timers.len().to_string());
    Ok(())
}

/// The dead letters are those that the log names.
pub async fn dead_letters(
    jetstream: &Context,
    log: &Log,
    checked: &mut Checked,
) -> anyhow::Result<()> {
    let mut named = BTreeSet::new();
    for event in log.requests.values().flatten() {
        if let Some(letter) = event.data["next"]["dead-letter"].as_str() {
            named.insert(letter.to_owned());
        }
    }
    let mut kept = BTreeSet::new();
    for message in read(jetstream, "DEAD_LETTERS").await? {
        // dead-letters.<type>.<request>.<group>.<task>.<run>
        let id = message
            .subject
            .splitn(3, '.')
            .nth(2)
            .unwrap_or("")
            .to_owned();
        if !named.contains(&id) {
            let text = format!("the log names no such letter: {}", message.subject);
            checked.found("dead-letters", &id, text);
        }
        kept.insert(id);
    }
    for letter in named.difference(&kept) {
        checked.found("dead-letters", letter, "MISSING".into());
    }
    let mut letters = BTreeMap::new();
    letters.insert("letters", kept.len());
    checked.figure("dead letters", counted(&letters));
    Ok(())
}

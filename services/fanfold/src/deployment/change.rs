//! `fanfold deployment set`: changes facts, and updates the broker to them.

use std::collections::BTreeSet;
use std::io::{Write as _, stdout};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use domain::request::Sequence;
use jiff::Timestamp;
use nats::{Connection, Error, Operation, Topology};
use operations::Why;
use runtime::{Facts, Settings, TASK_TYPES, changed_facts};
use serde_json::json;

use crate::roles::topology;

/// Changes facts and updates the broker to them. Records the change.
pub async fn set(
    connection: &Connection,
    changes: &[String],
    why: &Why,
) -> anyhow::Result<ExitCode> {
    let stored = connection.facts().await?;
    if stored.facts.is_empty() {
        bail!("no facts are stored yet: the first role that starts stores its own");
    }
    let facts = changed_facts(&stored.facts, changes)?;
    check_shards(connection, &stored.facts, &facts).await?;
    let removed = removed_types(&stored.facts, &facts);
    check_types(connection, &removed).await?;
    let sequence = match connection.store_facts(&facts, stored.sequence).await {
        Ok(sequence) => sequence,
        Err(Error::Conflict) => bail!("somebody else changed the facts meanwhile: run it again"),
        Err(error) => return Err(error.into()),
    };
    let updated = match apply(connection, &facts).await {
        Ok(updated) => updated,
        Err(error) => {
            let put_back = put_back(connection, &stored.facts, sequence).await;
            put_back.with_context(|| {
                format!("{error}; the facts are changed, and could not be reverted")
            })?;
            bail!("{error}; the facts stay as they were");
        }
    };
    let differences = differences(&stored.facts, &facts);
    let details = differences
        .iter()
        .map(|(name, from, to)| json!({ "name": name, "from": from, "to": to }));
    let operation = Operation {
        name: "deployment-changed".into(),
        to: None,
        by: why.by().to_owned(),
        on_behalf_of: why.on_behalf_of().map(str::to_owned),
        reason: why.reason().to_owned(),
        at: Timestamp::now(),
        details: json!({ "facts": details.collect::<Vec<_>>(), "updated": updated }),
    };
    if !differences.is_empty() || !updated.is_empty() {
        let recorded = connection.record(&operation).await;
        recorded.context("the facts are changed, and the change could not be recorded")?;
    }
    let mut out = stdout();
    for (name, from, to) in &differences {
        writeln!(out, "{name}: {from} → {to}")?;
    }
    if !updated.is_empty() {
        writeln!(out, "updated: {}", updated.join(", "))?;
    }
    for name in &removed {
        writeln!(
            out,
            "task type {name}: `nats consumer rm TASKS worker-{name}` removes its consumer once \
             no role has the type any more"
        )?;
    }
    if differences.is_empty() {
        writeln!(out, "the facts are as they were")?;
    } else {
        let old = differences
            .iter()
            .map(|(name, from, _)| format!("{name}={from}"));
        let old = old.collect::<Vec<_>>().join(", ");
        writeln!(
            out,
            "restart every role: until then a running one has {old}"
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn apply(connection: &Connection, facts: &Facts) -> anyhow::Result<Vec<String>> {
    let settings = Settings::load(None, |_| None, |_| None)?.adopt(facts, false)?;
    let topology = Topology {
        webhooks: true,
        traces: true,
        ..topology(&settings)
    };
    Ok(topology.apply(connection).await?)
}

/// Reverts a change that the broker does not support.
async fn put_back(connection: &Connection, facts: &Facts, sequence: u64) -> anyhow::Result<()> {
    connection.store_facts(facts, sequence).await?;
    apply(connection, facts).await.map(|_| ())
}

/// Refuses a change of the shards of a log, because the number of shards decides which shard holds
/// a request.
async fn check_shards(connection: &Connection, from: &Facts, to: &Facts) -> anyhow::Result<()> {
    if from.get("SHARDS") == to.get("SHARDS") || !connection.has_log().await? {
        return Ok(());
    }
    let shards: u8 = from.get("SHARDS").map_or(Ok(1), |shards| shards.parse())?;
    for shard in 0..shards {
        match connection.extent(shard).await {
            Ok(extent) if extent.last > Sequence::NONE => {
                bail!("SHARDS cannot change: the log has data, and its requests would be lost")
            }
            Ok(_) | Err(Error::Missing(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let streams = (0..shards).map(|shard| format!("`nats stream rm REQUESTS_{shard}`"));
    let streams = streams.collect::<Vec<_>>().join(", ");
    bail!(
        "SHARDS can change only before there is a log: stop every role, remove the empty log with \
         {streams}, and run this again"
    )
}

fn types(facts: &Facts) -> BTreeSet<&str> {
    let listed = facts.get(TASK_TYPES).map_or("", String::as_str);
    listed.split(',').filter(|name| !name.is_empty()).collect()
}

fn removed_types(from: &Facts, to: &Facts) -> Vec<String> {
    let (from, to) = (types(from), types(to));
    from.difference(&to)
        .map(|name| (*name).to_owned())
        .collect()
}

/// Refuses to remove a task type that still has tasks, because no worker would take them.
async fn check_types(connection: &Connection, removed: &[String]) -> anyhow::Result<()> {
    for name in removed {
        let left = connection.tasks_of(name).await?;
        if left > 0 {
            bail!(
                "task type {name} still has {left} tasks: let them end, or cancel their requests, \
                 and run this again"
            );
        }
    }
    Ok(())
}

/// The facts that differ, each with its old and its new value.
fn differences(from: &Facts, to: &Facts) -> Vec<(String, String, String)> {
    let differing = to
        .iter()
        .filter(|(name, value)| from.get(*name) != Some(value));
    differing
        .map(|(name, value)| {
            let before = from.get(name).cloned().unwrap_or_default();
            (name.clone(), before, value.clone())
        })
        .collect()
}

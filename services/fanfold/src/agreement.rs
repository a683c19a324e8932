//! Agreement on the facts of the deployment: every process works with those that are stored with
//! the log, and the first one stores its own.

use std::time::Duration;

use anyhow::{Context as _, bail};
use nats::{Connection, Creates, Error, Topology};
use runtime::{Facts, Settings};

use crate::command_line::Role;
use crate::roles::topology;

/// How often a process tries to store its facts while others store theirs.
const TRIES: u32 = 50;
/// The pause between two tries. A replica may answer that a write is in flight when none is.
const PAUSE: Duration = Duration::from_millis(20);

/// The settings of a role with the stored facts. Facts that nobody has stored yet are stored.
pub async fn agree(
    role: Role,
    settings: &Settings,
    connection: &Connection,
) -> anyhow::Result<Settings> {
    let defines = role.defines_task_types();
    // Its NATS runs only while this process does, so nobody could change the facts beforehand.
    let owns_deployment = role == Role::Up && !settings.nats_is_given();
    for _ in 0..TRIES {
        let stored = connection.facts().await?;
        let known = if owns_deployment {
            settings.with_added_types(&stored.facts)
        } else {
            stored.facts.clone()
        };
        let adopted = settings.adopt(&known, defines)?;
        let facts = completed(&known, adopted.facts(defines));
        if facts == stored.facts {
            return Ok(adopted);
        }
        if connection.creates() != Creates::All {
            let missing = facts
                .keys()
                .filter(|name| !stored.facts.contains_key(*name));
            let missing: Vec<&str> = missing.map(String::as_str).collect();
            bail!(
                "with TOPOLOGY=check this process stores no facts of the deployment, and these are \
                 missing: {}. Run `fanfold topology apply` with the same settings",
                missing.join(", ")
            );
        }
        let topology = topology(&adopted);
        if connection.has_log().await? {
            // An earlier version made the log. If its streams differ from these settings, the
            // settings are not the facts.
            topology.declare(connection).await?;
        }
        topology.declare_facts(connection).await?;
        match connection.store_facts(&facts, stored.sequence).await {
            Ok(sequence) => {
                if stored.sequence == 0 {
                    proven(&topology, connection, sequence).await?;
                }
                tracing::info!(?facts, "stored the facts of the deployment");
                return Ok(adopted);
            }
            Err(Error::Conflict) => tokio::time::sleep(PAUSE).await,
            Err(error) => return Err(error.into()),
        }
    }
    bail!("the facts of the deployment could not be stored: other processes keep storing theirs")
}

/// Creates the streams that the first facts describe. If the broker cannot support them, the facts
/// are removed again, so that another start may try others.
async fn proven(topology: &Topology, connection: &Connection, sequence: u64) -> anyhow::Result<()> {
    if let Err(error) = topology.declare(connection).await {
        let removed = connection.remove_facts(sequence).await;
        removed.with_context(|| format!("{error}; the facts could not be removed again"))?;
        return Err(error.into());
    }
    Ok(())
}

/// The stored facts. If there are none, the facts of this process.
fn completed(stored: &Facts, own: Facts) -> Facts {
    let mut facts = own;
    facts.extend(stored.clone());
    facts
}

/// The settings of a tool with the stored facts.
pub async fn adopted(settings: &Settings, connection: &Connection) -> anyhow::Result<Settings> {
    let stored = connection.facts().await;
    let stored = stored.context("reading the facts of the deployment")?;
    Ok(settings.adopt(&stored.facts, false)?)
}

#[cfg(test)]
mod tests;

//! `fanfold deployment`: the facts that every role shares.

mod change;

use std::io::{Write as _, stdout};
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use nats::{Actor, Connection};
use runtime::Settings;
use serde_json::json;

use crate::operate;

/// The command, with or without a change.
#[derive(Subcommand)]
pub enum DeploymentCommand {
    /// Show the facts that every role shares, or change them
    #[command(args_conflicts_with_subcommands = true)]
    Deployment {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(subcommand)]
        change: Option<Change>,
    },
}

/// A change of facts.
#[derive(Subcommand)]
pub enum Change {
    /// Change facts, here and at the broker
    #[command(
        after_help = "Example:\n  fanfold deployment set TASK_LEASE_MS=45s --reason 'slow \
                            valuers'\n\nRestart every role afterwards: a running role keeps the \
                            values with which it started."
    )]
    Set(SetArgs),
}

/// The facts to change, who changes them, and why.
#[derive(Args)]
pub struct SetArgs {
    /// A fact and its value
    #[arg(required = true, value_name = "NAME=VALUE")]
    facts: Vec<String>,
    /// Why; it is recorded
    #[arg(long)]
    reason: String,
    /// The person for whom $USER is doing this
    #[arg(long)]
    by: Option<String>,
}

pub fn run(command: &DeploymentCommand, settings: &Settings) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let DeploymentCommand::Deployment { json, change } = command;
        let actor = match change {
            None => Actor::Operator,
            Some(_) => Actor::Topology,
        };
        let options = settings.connections.nats("fanfold-cli", actor)?;
        let connection = Connection::open(&options).await?;
        match change {
            None => show(&connection, *json).await,
            Some(Change::Set(args)) => {
                let why = operate::why(args.by.as_deref(), &args.reason)?;
                change::set(&connection, &args.facts, &why).await
            }
        }
    })
}

async fn show(connection: &Connection, json: bool) -> anyhow::Result<ExitCode> {
    let stored = connection.facts().await?;
    if stored.facts.is_empty() {
        bail!("no facts are stored yet: the first role that starts stores its own");
    }
    if json {
        let page = json!({ "facts": stored.facts, "sequence": stored.sequence });
        writeln!(stdout(), "{page}")?;
    } else {
        for (name, value) in &stored.facts {
            writeln!(stdout(), "{name}={value}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

//! `fanfold requests|redrive|cancel|dead-letters|operation …`: operations on requests, directly over NATS.

use std::io::{Write as _, stdout};
use std::process::ExitCode;
use std::time::Duration;

use crate::agreement::adopted;
use anyhow::bail;
use clap::{Args, Subcommand};
use domain::access::{Action, Principal};
use domain::request::RequestId;
use nats::{Actor, Connection, ExecuteError, Log};
use operations::{Operations, StuckWatch, Why, operator, permit};
use runtime::{Documents, Settings};

use crate::dead_letters::{self, DeadLetters};
use crate::operation::{self, OperationCommand};

/// The subcommands on requests that went wrong.
#[derive(Subcommand)]
pub enum OperateCommand {
    /// Look at all requests
    #[command(subcommand)]
    Requests(Requests),
    /// Run the failed tasks of a request again and keep its results
    Redrive {
        /// The request
        id: RequestId,
        #[command(flatten)]
        why: WhyArgs,
    },
    /// Stop a request
    Cancel {
        /// The request
        id: RequestId,
        #[command(flatten)]
        why: WhyArgs,
    },
    /// Look at, redrive or discard tasks that were given up
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// Redrive, cancel or discard many things as one operation
    #[command(subcommand)]
    Operation(OperationCommand),
}

/// The subcommands on all requests.
#[derive(Subcommand)]
pub enum Requests {
    /// List requests without progress for longer than their timeouts explain; exit with 1 if there
    /// are any
    Stuck {
        /// Seconds that a step may take beyond its timeouts
        #[arg(long, value_name = "SECONDS", default_value_t = domain::request::STUCK_AFTER.as_secs())]
        after: u64,
        /// Print JSON, one request per line
        #[arg(long)]
        json: bool,
    },
}

/// The person for whom the operator acts and the reason, for the record.
#[derive(Args)]
pub struct WhyArgs {
    /// Why; it is recorded in the request's history
    #[arg(long)]
    reason: String,
    /// The person for whom $USER is doing this
    #[arg(long)]
    by: Option<String>,
}

impl WhyArgs {
    pub fn check(&self) -> anyhow::Result<Why> {
        why(self.by.as_deref(), &self.reason)
    }
}

pub fn why(by: Option<&str>, reason: &str) -> anyhow::Result<Why> {
    Ok(Why::new(changer()?.subject(), by, reason)?)
}

/// As `why`, for a command that needs no reason.
pub fn why_if_said(by: Option<&str>, reason: &str) -> anyhow::Result<Why> {
    Ok(Why::of(changer()?.subject(), by, reason)?)
}

/// The operator, who may change what was submitted.
fn changer() -> anyhow::Result<Principal> {
    let who = operator();
    permit(&who, Action::Operate)?;
    Ok(who)
}

pub fn run(command: &OperateCommand, settings: &Settings) -> anyhow::Result<ExitCode> {
    permit(&operator(), Action::Inspect)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let connection = connect(settings).await?;
        let settings = &adopted(settings, &connection).await?;
        let log = Log::new(connection.clone(), settings.deployment.shards);
        let operations = Operations::new(
            connection.clone(),
            log,
            Documents::default(),
            &settings.deployment,
        );
        match command {
            OperateCommand::Requests(Requests::Stuck { after, json }) => {
                let watch = StuckWatch::new(connection, settings.deployment.shards);
                stuck(&watch, Duration::from_secs(*after), *json).await
            }
            OperateCommand::Redrive { id, why } => obeyed(
                *id,
                operations
                    .redrive(*id, why.check()?)
                    .await
                    .map(|_| "runs again"),
            ),
            OperateCommand::Cancel { id, why } => obeyed(
                *id,
                operations
                    .cancel(*id, why.check()?)
                    .await
                    .map(|_| "is cancelled"),
            ),
            OperateCommand::DeadLetters(command) => dead_letters::run(command, &operations).await,
            OperateCommand::Operation(command) => operation::run(command, &operations).await,
        }
    })
}

/// Connects to the configured NATS, or to the one that `up` started on this machine.
async fn connect(settings: &Settings) -> anyhow::Result<Connection> {
    let options = settings.connections.nats("fanfold-cli", Actor::Operator)?;
    Ok(Connection::open(&options).await?)
}

fn obeyed(id: RequestId, obeyed: Result<&str, ExecuteError>) -> anyhow::Result<ExitCode> {
    match obeyed {
        Ok(done) => {
            writeln!(stdout(), "{id} {done}")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => bail!("{id}: {error}"),
    }
}

async fn stuck(watch: &StuckWatch, after: Duration, json: bool) -> anyhow::Result<ExitCode> {
    let stuck = watch.stuck(after).await?;
    for request in &stuck {
        if json {
            writeln!(stdout(), "{}", serde_json::to_string(request)?)?;
        } else {
            let group = request.group.map_or("-".into(), |group| group.to_string());
            writeln!(
                stdout(),
                "{}  {:<9}  group {group}  last progress {}  expected by {}",
                request.request_id,
                request.status.as_str(),
                request.last_progress_at,
                request.expected_by,
            )?;
        }
    }
    eprintln!("{} stuck", stuck.len());
    Ok(if stuck.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

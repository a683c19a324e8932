//! `fanfold worker-check`: whether a worker in any language does what the protocol wants.

use std::io::{Write as _, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use runtime::{Form, printable};
use worker_check::{Documents, Options, STORIES, Verdict};

use crate::ready::SAMPLE;

/// A valuation that has nothing to value.
const EMPTY: &str =
    "<vnml><project><group><valuation name=\"worker-check\"/></group></project></vnml>";
/// What a finding makes of the exit code, as for `replay`.
const FINDINGS: u8 = 2;

/// The command on workers.
#[derive(Subcommand)]
pub enum WorkerCheckCommand {
    /// Check whether a worker in any language does what the protocol wants
    #[command(
        after_help = "It starts a nats-server of its own, plays the part of Fanfold to the worker, and \
                      says in a sentence what the worker gets wrong and what to do. The exit code is 0 \
                      if it finds nothing, 2 if it does, and 1 if the check failed.\n\n\
                      Example:\n  fanfold worker-check --type bond --slow slow.xml -- python worker.py"
    )]
    WorkerCheck(Arguments),
}

/// The worker, and what the check may expect of it.
#[derive(clap::Args)]
pub struct Arguments {
    /// The task type of the worker
    #[arg(long = "type", default_value = "default", value_name = "TYPE")]
    task_type: String,
    /// A task document that the worker values [default: a bond]
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
    /// A task document that it cannot value [default: an empty valuation]
    #[arg(long, value_name = "FILE")]
    failing: Option<PathBuf>,
    /// A task document that takes it longer than the lease
    #[arg(long, value_name = "FILE")]
    slow: Option<PathBuf>,
    /// A task document in whose result it writes the traceparent that it was given
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// How many attempts a task has, as the worker has it
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(2..))]
    attempts: u32,
    /// The lease of a task, in milliseconds
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(200..))]
    lease_ms: u64,
    /// How long the worker may take to start, and for a task, in seconds
    #[arg(long, default_value_t = 20, value_name = "SECONDS")]
    patience: u64,
    /// How long it may take to end after SIGTERM, in seconds
    #[arg(long, default_value_t = 15, value_name = "SECONDS")]
    grace: u64,
    /// Check only this rule; may be given several times
    #[arg(long, value_name = "RULE")]
    only: Vec<String>,
    /// The command that starts the worker. It has the server in `NATS_URL`, and in the place of {nats}
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub fn run(command: &WorkerCheckCommand) -> anyhow::Result<ExitCode> {
    let WorkerCheckCommand::WorkerCheck(arguments) = command;
    let named = |name: &String| STORIES.iter().any(|story| story.name == name);
    if let Some(unknown) = arguments.only.iter().find(|name| !named(name)) {
        let rules: Vec<_> = STORIES.iter().map(|story| story.name).collect();
        bail!("--only {unknown}: the rules are {}", rules.join(", "));
    }
    let options = options(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(check(&options, &arguments.only))
}

fn options(arguments: &Arguments) -> anyhow::Result<Options> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
    };
    let optional = |path: &Option<PathBuf>| path.as_deref().map(read).transpose();
    let or = |path: &Option<PathBuf>, default: &str| {
        Ok::<_, anyhow::Error>(optional(path)?.unwrap_or_else(|| default.to_owned()))
    };
    Ok(Options {
        command: arguments.command.clone(),
        task_type: arguments.task_type.clone(),
        lease: Duration::from_millis(arguments.lease_ms),
        patience: Duration::from_secs(arguments.patience),
        grace: Duration::from_secs(arguments.grace),
        attempts: arguments.attempts,
        documents: Documents {
            plain: or(&arguments.document, SAMPLE)?,
            failing: or(&arguments.failing, EMPTY)?,
            slow: optional(&arguments.slow)?,
            trace: optional(&arguments.trace)?,
        },
    })
}

/// Tells the stories one after another, each to a worker of its own, and says how each ended.
async fn check(options: &Options, only: &[String]) -> anyhow::Result<ExitCode> {
    let chosen = |name: &str| only.is_empty() || only.iter().any(|only| only == name);
    let (mut wrong, mut unchecked) = (0, 0);
    for story in STORIES.iter().filter(|story| chosen(story.name)) {
        let verdict = Box::pin(worker_check::check(story, options)).await?;
        let (said, more) = match verdict {
            Verdict::Right => ("ok", Vec::new()),
            Verdict::NotChecked(why) => {
                unchecked += 1;
                ("not checked", vec![why])
            }
            Verdict::Wrong(faults, output) => {
                wrong += faults.len();
                ("WRONG", shown(faults, &output))
            }
        };
        let mut out = stdout().lock();
        writeln!(out, "{said:11}  {:10}  {}", story.name, story.about)?;
        for line in more {
            let line = printable(&line, Form::Line { colours: false });
            writeln!(out, "             - {line}")?;
        }
        out.flush()?;
    }
    let mut out = stdout().lock();
    writeln!(out, "\n{wrong} wrong, {unchecked} rules not checked")?;
    Ok(if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FINDINGS)
    })
}

/// The faults, and the end of what the worker printed.
fn shown(mut faults: Vec<String>, output: &str) -> Vec<String> {
    faults.extend(output.lines().map(|line| format!("its output: {line}")));
    faults
}

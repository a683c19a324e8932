//! `fanfold config`: the effective settings.

use std::io::{Write, stdout};
use std::process::ExitCode;
use std::time::Duration;

use nats::{Actor, Connection, Options};
use runtime::{Aws, Definition, Facts, Part, Settings};

/// How long to wait for the broker. This command also works without it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Prints every setting with its value, grouped by part.
pub fn print(settings: Settings) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (settings, remark) = runtime.block_on(effective(settings));
    let settings = &settings;
    let mut out = stdout().lock();
    for line in remark.lines() {
        writeln!(out, "# {line}")?;
    }
    writeln!(out)?;
    for part in Part::ALL {
        writeln!(out, "# {}", part.title())?;
        for definition in Settings::definitions().iter().filter(|d| d.part == part) {
            let (shown, source) = (settings.shown(definition), settings.source(definition));
            let Definition { name, about, .. } = definition;
            writeln!(out, "{name}={shown}  # {source}: {about}")?;
        }
        if part == Part::References {
            print_aws(&mut out, &settings.aws)?;
        }
        writeln!(out)?;
    }
    for task_type in settings.task_types.iter() {
        writeln!(
            out,
            "# task type {}: matches {:?}, executor {}, {} attempts, {:?} each, {} at once",
            task_type.name,
            task_type.matches,
            worker::describe(task_type)?,
            task_type.retry.attempts,
            task_type.time_limit,
            task_type.concurrency,
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The settings with the facts of the deployment, if the broker answers, and a remark about them.
async fn effective(settings: Settings) -> (Settings, String) {
    let stored = match stored(&settings).await {
        Ok(stored) => stored,
        Err(error) => {
            let remark = format!(
                "The facts of the deployment are not known: {error:#}\n\
                 The values below are those of this process alone."
            );
            return (settings, remark);
        }
    };
    if stored.is_empty() {
        let remark = "No facts of a deployment are stored yet: the first role stores its own.";
        return (settings, remark.to_owned());
    }
    match settings.adopt(&stored, false) {
        Ok(adopted) => {
            let remark = "The facts of the deployment are those that are stored with the log.";
            (adopted, remark.to_owned())
        }
        Err(error) => {
            let remark = format!("No role starts with these settings:\n{error}");
            (settings, remark)
        }
    }
}

async fn stored(settings: &Settings) -> anyhow::Result<Facts> {
    let options = Options {
        connect_timeout: CONNECT_TIMEOUT,
        request_timeout: CONNECT_TIMEOUT,
        ..settings.connections.nats("fanfold-cli", Actor::Operator)?
    };
    Ok(Connection::open(&options).await?.facts().await?.facts)
}

/// Prints the variables for `s3://` objects, which are not settings of Fanfold.
fn print_aws(out: &mut impl Write, aws: &Aws) -> anyhow::Result<()> {
    for (name, about) in Aws::VARIABLES {
        let shown = aws.shown(name);
        writeln!(out, "{name}={shown}  # environment only: {about}")?;
    }
    Ok(())
}

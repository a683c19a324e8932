//! `fanfold replay …`, with the executors of these settings.

use std::process::ExitCode;

use futures::future::BoxFuture;
use history::execute::{Execution, Executor};
use metrics::Metrics;
use replay::ReplayCommand;
use runtime::{Form, Settings, printable, start_logs};

/// The niceness of a process that runs only when nothing else wants to.
const LEAST_URGENT: i32 = 19;

pub fn replay(command: &ReplayCommand, settings: &Settings) -> anyhow::Result<ExitCode> {
    // The output of the tool is its answer, so the logs show only errors.
    let mut quiet = settings.process.clone();
    quiet.log_filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "error".into());
    start_logs(&quiet, Metrics::default().log_events).map_err(|wrong| settings.wrong(wrong))?;
    if command.reads_much() {
        give_way();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let executor = Configured(settings);
    let ran = runtime.block_on(replay::run(command, settings, &executor));
    Ok(match ran {
        Ok(finding) => finding.into(),
        Err(error) => {
            let code = error.exit_code();
            if code != ExitCode::SUCCESS {
                let text = format!("fanfold: {error}");
                eprintln!("{}", printable(&text, Form::Lines { colours: false }));
            }
            code
        }
    })
}

/// Lets everything else on this machine go before a long scan. On Linux the priority applies to the
/// calling thread and to threads that it starts later.
fn give_way() {
    if let Err(error) = rustix::process::setpriority_process(None, LEAST_URGENT) {
        tracing::warn!(%error, "could not lower this process's priority; the scan may slow other work down");
    }
}

/// Runs tasks with the executors of the settings.
struct Configured<'a>(&'a Settings);

impl Executor for Configured<'_> {
    fn execute(&self, execution: Execution) -> BoxFuture<'_, Result<Vec<u8>, String>> {
        Box::pin(async move {
            let name = self.0.task_types.of(execution.valuation.as_deref());
            let task_type = self
                .0
                .task_types
                .iter()
                .find(|task_type| task_type.name == name)
                .ok_or_else(|| format!("there is no task type {name}"))?;
            let Execution {
                task,
                attempt,
                document,
                ..
            } = execution;
            worker::execute(task_type, task, attempt, document).await
        })
    }
}

//! `fanfold replay …`, with the executors that are configured here.

use std::process::ExitCode;

use futures::future::BoxFuture;
use replay::{Execution, Executor, ReplayCommand};
use runtime::{Settings, start_logs};

/// The niceness of a process that runs when nothing else wants to.
const LEAST_URGENT: i32 = 19;

pub fn replay(command: &ReplayCommand, settings: &Settings) -> anyhow::Result<ExitCode> {
    // What the tool says is its output: of the logs only what is wrong.
    let mut quiet = settings.clone();
    quiet.log_filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "error".into());
    start_logs(&quiet)?;
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
                eprintln!("fanfold: {error}");
            }
            code
        }
    })
}

/// Whatever else runs on this machine goes before a long reading. On Linux this is of the calling
/// thread and of those that it starts from now on.
fn give_way() {
    if let Err(error) = rustix::process::setpriority_process(None, LEAST_URGENT) {
        tracing::warn!(%error, "could not lower this process's priority; the scan may slow other work down");
    }
}

/// The executors of the settings.
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

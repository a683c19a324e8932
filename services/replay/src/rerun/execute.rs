//! The tasks of a bundle run again, and their results compared.

use domain::document::{Effort, Limits, canonicalize};
use domain::request::{Event, TaskId};

use super::Outcome;
use crate::Error;
use crate::derive::{Stop, before_group};
use crate::execute::{Execution, Executor};
use crate::source::Source;
use crate::story::fold;

/// Runs every task again that has a result, and compares the results.
pub async fn execute(
    source: &Source,
    executor: &dyn Executor,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    let Source::Bundle(bundle) = source else {
        return Ok(());
    };
    for id in bundle.requests() {
        let commits = source.commits(id).await?;
        let state = fold(&commits);
        let Some(request) = state.request() else {
            continue;
        };
        for event in commits.iter().flat_map(|commit| &commit.events) {
            let Event::TaskSucceeded(e) = event else {
                continue;
            };
            let derived = before_group(source, request, e.group as usize).await?;
            let made = derived.and_then(|mut derived| {
                let made = derived.tasks(e.group, [e.task], usize::MAX, Effort::Whole);
                made.map_err(Stop::from)
            });
            let Some(document) = made.ok().and_then(|mut made| made.pop()) else {
                continue;
            };
            let task = TaskId {
                request: id,
                group: e.group,
                task: e.task,
            };
            let execution = Execution {
                task,
                attempt: e.attempt,
                valuation: document.name,
                document: document.xml,
            };
            outcome.executed += 1;
            let before = source.payload(&e.result).await?;
            match executor.execute(execution).await {
                Ok(result) if same(&result, &before) => {}
                Ok(_) => outcome
                    .others
                    .push(format!("the result of task {task} is another")),
                Err(reason) => outcome.others.push(format!("task {task} failed: {reason}")),
            }
        }
    }
    Ok(())
}

/// Whether two documents say the same.
fn same(a: &[u8], b: &[u8]) -> bool {
    let limits = Limits::accepted();
    match (canonicalize(a, &limits), canonicalize(b, &limits)) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

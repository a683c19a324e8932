//! Replays the decisions of a bundle with this build.

use domain::document::{Effort, Limits, canonicalize};
use domain::request::{Event, RequestId, TaskId};
use nats::Commit;

use crate::bundle::{Bundle, StoredTask};
use crate::derive::{Stop, before_group};
use crate::execute::{Execution, Executor};
use crate::redecide::{self, Divergence};
use crate::source::Source;
use crate::story::fold;
use crate::{Error, documents};

/// The outcome of a replay of a bundle.
#[derive(Default)]
pub struct Outcome {
    /// The number of requests.
    pub requests: usize,
    /// The number of commits.
    pub commits: usize,
    /// The number of events.
    pub events: usize,
    /// The number of task documents that were compared.
    pub tasks: usize,
    /// The number of tasks that ran again.
    pub executed: usize,
    /// The first event that this build decides differently.
    pub divergence: Option<Divergence>,
    /// The differences in anything but events.
    pub others: Vec<String>,
}

/// Replays a bundle, request by request, up to the first event that differs.
pub async fn again(bundle: Bundle, fail_fast: Option<bool>) -> Result<Outcome, Error> {
    let mut outcome = Outcome::default();
    outcome.others.extend(bundle.damage.clone());
    let ids = bundle.requests();
    let recorded = bundle.tasks.clone();
    let source = Source::Bundle(Box::new(bundle));
    for id in ids {
        let commits = source.commits(id).await?;
        outcome.requests += 1;
        outcome.commits += commits.len();
        outcome.events += commits
            .iter()
            .map(|commit| commit.events.len())
            .sum::<usize>();
        let divergence = redecide::request(&source, &commits, fail_fast).await?;
        if divergence.is_some() {
            outcome.divergence = divergence;
            return Ok(outcome);
        }
        compare_tasks(&source, id, &commits, &recorded, &mut outcome).await?;
    }
    Ok(outcome)
}

async fn compare_tasks(
    source: &Source,
    id: RequestId,
    commits: &[Commit],
    recorded: &[StoredTask],
    outcome: &mut Outcome,
) -> Result<(), Error> {
    let made = documents::made(source, commits).await?;
    for stored in recorded.iter().filter(|stored| stored.task.request == id) {
        outcome.tasks += 1;
        if made.get(&stored.task) != Some(&stored.sha256) {
            let task = stored.task;
            let other = format!("the document of task {task} differs from the recorded one");
            outcome.others.push(other);
        }
    }
    if !source.is_redacted() {
        let others = documents::others(commits, &made);
        outcome
            .others
            .extend(others.iter().map(documents::Other::told));
    }
    Ok(())
}

/// Runs every task that has a result again, and compares the results.
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
            let derived = before_group(source, request, e.group.index()).await?;
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
                Ok(_) => outcome.others.push(format!(
                    "the result of task {task} differs from the recorded one"
                )),
                Err(reason) => outcome.others.push(format!("task {task} failed: {reason}")),
            }
        }
    }
    Ok(())
}

/// Whether two documents have the same canonical form.
fn same(a: &[u8], b: &[u8]) -> bool {
    let limits = Limits::accepted();
    match (canonicalize(a, &limits), canonicalize(b, &limits)) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

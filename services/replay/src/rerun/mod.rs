//! `run`: a bundle decided again with this build, without any server. `test`: a bundle as a
//! golden case.

mod execute;
mod golden;
mod told;

use domain::request::RequestId;
use nats::Commit;
use runtime::{Settings, Source as Origin};

use crate::bundle::{Bundle, StoredTask};
use crate::command::RunArgs;
use crate::execute::Executor;
use crate::redecide::{self, Divergence};
use crate::source::Source;
use crate::{Error, Finding, documents, page};
use execute::execute;
pub use golden::{golden, test};
use told::{as_json, told};

/// What came of deciding a bundle again.
#[derive(Default)]
pub struct Outcome {
    pub requests: usize,
    pub commits: usize,
    pub events: usize,
    pub tasks: usize,
    pub executed: usize,
    pub divergence: Option<Divergence>,
    /// What differs beside the events.
    pub others: Vec<String>,
}

pub async fn run(
    args: &RunArgs,
    settings: &Settings,
    executor: &dyn Executor,
) -> Result<Finding, Error> {
    let bundle = Bundle::read(&args.bundle)?;
    let fail_fast = if is_set(settings, "FAIL_FAST") {
        settings.deployment.fail_fast
    } else {
        bundle.header.rules.fail_fast
    };
    let program = bundle.header.program.clone();
    let mut outcome = again(bundle, fail_fast).await?;
    if args.execute {
        let source = Source::Bundle(Box::new(Bundle::read(&args.bundle)?));
        execute(&source, executor, &mut outcome).await?;
    }
    let fine = outcome.divergence.is_none() && outcome.others.is_empty();
    if args.json {
        page::line(&as_json(&outcome))?;
    } else {
        page::print(&told(&outcome, &program))?;
    }
    Ok(if fine { Finding::Fine } else { Finding::Found })
}

fn is_set(settings: &Settings, name: &str) -> bool {
    let mut definitions = Settings::definitions().iter();
    definitions
        .find(|definition| definition.name == name)
        .is_some_and(|definition| settings.origin(definition).1 != Origin::Default)
}

/// Decides a bundle again, request by request, up to the first event that differs.
pub async fn again(bundle: Bundle, fail_fast: bool) -> Result<Outcome, Error> {
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
            let other = format!("the document of task {task} is another than it was");
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

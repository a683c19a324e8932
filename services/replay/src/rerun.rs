//! `run`: a bundle decided again with this build, without any server. `test`: a bundle as a
//! golden case.

use std::fmt::Write as _;

use domain::document::canonicalize;
use domain::request::{Event, RequestId, TaskId};
use nats::Commit;
use runtime::{Settings, Source as Origin};
use serde_json::json;

use crate::bundle::{self, Bundle, StoredTask};
use crate::command::{RunArgs, TestArgs};
use crate::derive::Derivation;
use crate::execute::{Execution, Executor};
use crate::output::{Paint, count, short};
use crate::redecide::{self, Divergence};
use crate::source::Source;
use crate::story::fold;
use crate::{Error, Finding, documents, page};

/// The longest event that a difference shows.
const SHOWN_CHARS: usize = 400;

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
        settings.fail_fast
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

/// Runs every task again that has a result, and compares the results.
async fn execute(
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
            let derived = Derivation::before_group(source, request, e.group as usize).await?;
            let made = derived.and_then(|derived| derived.tasks(e.group, Some(&[e.task])));
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
    let limits = domain::document::Limits::default();
    match (canonicalize(a, &limits), canonicalize(b, &limits)) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

fn as_json(outcome: &Outcome) -> serde_json::Value {
    json!({
        "requests": outcome.requests,
        "commits": outcome.commits,
        "events": outcome.events,
        "tasks": outcome.tasks,
        "executed": outcome.executed,
        "divergence": outcome.divergence.as_ref().map(|d| json!({
            "requestId": d.request,
            "sequence": d.sequence,
            "index": d.index,
            "recorded": d.recorded,
            "decided": d.decided,
            "note": d.note,
        })),
        "others": outcome.others,
    })
}

fn told(outcome: &Outcome, program: &str) -> String {
    let paint = Paint::of_stdout();
    let mut text = format!(
        "{}, {}, {}, written by {program}, decided again by {}\n",
        count(outcome.requests as u64, "request"),
        count(outcome.commits as u64, "commit"),
        count(outcome.events as u64, "event"),
        env!("CARGO_PKG_VERSION"),
    );
    if let Some(divergence) = &outcome.divergence {
        text.push_str(&differs(divergence, paint));
    } else {
        let _ = writeln!(text, "{}", paint.green("the same decisions"));
        let tasks = count(outcome.tasks as u64, "task document");
        let _ = writeln!(text, "  {tasks} made again");
    }
    if outcome.executed > 0 {
        let _ = writeln!(
            text,
            "  {} executed again",
            count(outcome.executed as u64, "task")
        );
    }
    for other in &outcome.others {
        let _ = writeln!(text, "{} {other}", paint.red("differs:"));
    }
    text
}

fn differs(divergence: &Divergence, paint: Paint) -> String {
    let event = |event: &Option<Event>| {
        event.as_ref().map_or_else(
            || "nothing".to_owned(),
            |event| {
                short(
                    &serde_json::to_string(event).unwrap_or_default(),
                    SHOWN_CHARS,
                )
            },
        )
    };
    let Divergence {
        request,
        sequence,
        index,
        ..
    } = divergence;
    let mut text = format!(
        "{} at request {request}, commit {sequence}, event {index}\n  then {}\n  now  {}\n",
        paint.red("the first difference"),
        event(&divergence.recorded),
        event(&divergence.decided),
    );
    if let Some(note) = &divergence.note {
        let _ = writeln!(text, "  {note}");
    }
    text
}

/// Decides a golden case again, and gives what differs.
pub async fn golden(case: &std::path::Path) -> Result<Option<String>, Error> {
    let bundle = Bundle::read(case)?;
    let fail_fast = bundle.header.rules.fail_fast;
    let outcome = again(bundle, fail_fast).await?;
    let fine = outcome.divergence.is_none() && outcome.others.is_empty();
    Ok((!fine).then(|| told(&outcome, "another build")))
}

/// Puts a bundle into the tree, as plain lines that a review can read.
pub async fn test(args: &TestArgs) -> Result<Finding, Error> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if args.name.is_empty() || !args.name.chars().all(word) {
        return Err(Error::Usage(format!(
            "--name '{}': a-z, 0-9 and - only",
            args.name
        )));
    }
    let plain = bundle::unpack(&args.bundle)?;
    let bundle = Bundle::parse(&plain).map_err(Error::Unreadable)?;
    let fail_fast = bundle.header.rules.fail_fast;
    let outcome = again(bundle, fail_fast).await?;
    if outcome.divergence.is_some() || !outcome.others.is_empty() {
        page::print(&told(&outcome, "another build"))?;
        eprintln!("a golden case holds what this build decides: this one would fail");
        return Ok(Finding::Found);
    }
    let place = args.cases.join(format!("{}.jsonl", args.name));
    std::fs::create_dir_all(&args.cases)?;
    std::fs::write(&place, plain)?;
    eprintln!(
        "{}: `cargo test -p replay` decides it again from now on",
        place.display()
    );
    Ok(Finding::Fine)
}

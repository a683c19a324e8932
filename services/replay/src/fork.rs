//! `fork`: a new request that takes over the results of another one, up to a point.

use history::source::Source;
use history::story::Story;
use nats::ExecuteError;
use operations::{ForkError, ForkPlan};
use runtime::Settings;
use serde_json::json;

use crate::command::ForkArgs;
use crate::output::count;
use crate::{Error, Finding, consent, open, page};

pub async fn run(args: &ForkArgs, settings: &Settings) -> Result<Finding, Error> {
    let live = open::live(settings).await?;
    let source = Source::Live(Box::new(live.clone()));
    let story = Story::of(args.id, source.commits(args.id).await?, Some(args.at))?;
    let document = args.document.as_ref().map(|file| {
        std::fs::read(file).map_err(|error| Error::Usage(format!("{}: {error}", file.display())))
    });
    let plan = ForkPlan::of(&source, &story, document.transpose()?).await?;
    let (id, results) = (plan.id, plan.results());
    let why = consent::ask(&will(&plan), &args.consent)?;
    let operations = open::operations(&live, settings);
    let receipt = operations.fork(plan, why).await?;
    if args.json {
        page::line(&json!({"requestId": id, "sequence": receipt.sequence, "results": results}))?;
    } else {
        page::print(&format!("{id}\n"))?;
    }
    Ok(Finding::Fine)
}

impl From<ForkError> for Error {
    fn from(error: ForkError) -> Self {
        match error {
            ForkError::History(error) => Self::History(error),
            ForkError::Execute(ExecuteError::Log(error)) => error.into(),
            error => Self::Usage(error.to_string()),
        }
    }
}

fn will(plan: &ForkPlan) -> String {
    format!(
        "This submits a new request, {}: a fork of {} at sequence {}. It takes over {} of {} and \
         goes on from there; the original stays as it is.",
        plan.id,
        plan.from,
        plan.sequence,
        count(plan.results() as u64, "result"),
        count(plan.groups() as u64, "group"),
    )
}

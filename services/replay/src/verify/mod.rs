//! `verify`: the log folded again, its invariants, and everything that hangs on it.

mod dead_letters;
mod documents;
mod invariants;
mod orphans;
mod payloads;
mod report;
mod run;
mod views;
mod whole;

use std::time::Instant;

use jiff::Timestamp;
use runtime::Settings;

use crate::command::VerifyArgs;
use crate::log::{self, Live};
use crate::{Error, Finding, page};
use report::{Problem, Report, counts, told};
use run::Run;
use views::Views;
pub use views::{differences, is_expired};

pub async fn run(args: &VerifyArgs, settings: &Settings) -> Result<Finding, Error> {
    let begun = Instant::now();
    let live = Live::open(settings).await?;
    let views = if args.no_views {
        None
    } else {
        log::views(settings)
            .await
            .map_err(|error| eprintln!("{error}: the views are not compared"))
            .ok()
    };
    let unseen = !args.no_views && views.is_none();
    let mut run = Run::new(live, views.map(Views::new));
    match (args.id, args.since) {
        (Some(id), _) => run.one(id).await?,
        (None, Some(since)) => run.since(since.time(Timestamp::now())).await?,
        (None, None) => run.all().await?,
    }
    if args.documents {
        run.documents().await?;
    }
    let report = run.report;
    let seconds = begun.elapsed().as_secs_f64();
    if args.json {
        for problem in &report.problems {
            page::line(&serde_json::to_value(problem).unwrap_or_default())?;
        }
        page::line(&counts(&report, seconds))?;
    } else {
        page::print(&told(&report, seconds))?;
    }
    match (report.problems.is_empty(), unseen) {
        (false, _) => Ok(Finding::Found),
        (true, true) => Err(Error::Unreachable(
            "Redis does not answer: only the log is verified".into(),
        )),
        (true, false) => Ok(Finding::Fine),
    }
}

/// What was read, or why some of it cannot be read: that is a finding, and stops nothing else.
fn readable<T>(read: Result<T, nats::Error>) -> Result<Result<T, String>, Error> {
    match read {
        Ok(read) => Ok(Ok(read)),
        Err(error @ nats::Error::Corrupt { .. }) => Ok(Err(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

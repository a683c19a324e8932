//! `verify`: folds the log again, and checks its invariants and all data that depends on it.

mod report;

use std::time::Instant;

use history::verify::Run;
use jiff::Timestamp;
use runtime::Settings;

use crate::command::VerifyArgs;
use crate::{Error, Finding, open, page};
use report::{counts, told};

pub async fn run(args: &VerifyArgs, settings: &Settings) -> Result<Finding, Error> {
    let begun = Instant::now();
    let live = open::live(settings).await?;
    let views = if args.no_views {
        None
    } else {
        open::views(settings)
            .await
            .map_err(|error| eprintln!("{error}: the views are not compared"))
            .ok()
    };
    let unseen = !args.no_views && views.is_none();
    let mut run = Run::on(live, views);
    match (args.id, args.since) {
        (Some(id), _) => run.one(id).await?,
        (None, Some(since)) => run.since(since.time(Timestamp::now())).await?,
        (None, None) => run.all().await?,
    }
    if args.documents {
        run.documents().await?;
    }
    let report = run.into_report();
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
        (true, true) => Err(Error::History(history::Error::Unreachable(
            "Redis does not answer: only the log is verified".into(),
        ))),
        (true, false) => Ok(Finding::Fine),
    }
}

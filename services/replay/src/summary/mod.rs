//! `summary`: a period beside the period before, so that what changed stands out.

mod tally;
mod told;

use jiff::Timestamp;
use runtime::Settings;
use serde_json::json;

use crate::command::SummaryArgs;
use crate::log::Live;
use crate::{Error, Finding, page};
use tally::{Groups, Tally};
use told::told;

pub async fn run(args: &SummaryArgs, settings: &Settings) -> Result<Finding, Error> {
    let now = Timestamp::now();
    let since = args.since.time(now);
    let length = now.duration_since(since);
    let before = since.checked_sub(length).unwrap_or(Timestamp::UNIX_EPOCH);
    let live = Live::open(settings).await?;
    let (mut earlier, mut later) = (Tally::default(), Tally::default());
    let mut groups = Groups::default();
    live.each(Some(before), |commit| {
        let tally = if commit.at < since {
            &mut earlier
        } else {
            &mut later
        };
        tally.take_in(&commit, &mut groups);
        true
    })
    .await?;
    if args.json {
        page::line(&json!({
            "from": since, "to": now,
            "period": later.told(length), "before": earlier.told(length),
        }))?;
    } else {
        page::print(&told(since, length, &later, &earlier))?;
    }
    Ok(Finding::Fine)
}

//! `summary`: a period compared with the period before, so that changes stand out.

mod told;

use history::summary::Summary;
use jiff::Timestamp;
use runtime::Settings;
use serde_json::json;

use crate::command::SummaryArgs;
use crate::{Error, Finding, open, page};
use told::told;

pub async fn run(args: &SummaryArgs, settings: &Settings) -> Result<Finding, Error> {
    let now = Timestamp::now();
    let live = open::live(settings).await?;
    let summary = Summary::of(&live, args.since.time(now), now).await?;
    let Summary {
        since,
        length,
        period,
        before,
    } = &summary;
    if args.json {
        page::line(&json!({
            "from": since, "to": now,
            "period": period.told(*length), "before": before.told(*length),
        }))?;
    } else {
        page::print(&told(*since, *length, period, before))?;
    }
    Ok(Finding::Fine)
}

//! `tail`: events as they are stored.

use domain::request::{Event, Recorded};
use futures::StreamExt as _;
use history::live::Live;
use history::timeline;
use jiff::Timestamp;
use nats::{Commit, Scan, Start};
use runtime::Settings;

use crate::command::TailArgs;
use crate::output::{Paint, clock};
use crate::show::entry_line;
use crate::{Error, Finding, line, open, page};

pub async fn run(args: &TailArgs, settings: &Settings) -> Result<Finding, Error> {
    if !args.filter.status.is_empty() {
        return Err(Error::Usage(
            "an event has no --status: `fanfold replay search` has".into(),
        ));
    }
    let source = open::source(args.reading.from.as_deref(), settings).await?;
    let now = Timestamp::now();
    let since = args.since.map(|since| since.time(now));
    if args.no_follow || source.live().is_none() {
        let mut written = Ok(());
        source
            .each(since, |commit| {
                written = print(args, &commit);
                written.is_ok()
            })
            .await?;
        return written.map(|()| Finding::Fine);
    }
    if let Some(live) = source.live() {
        follow(args, live, since.unwrap_or(now)).await?;
    }
    Ok(Finding::Fine)
}

/// Follows every shard until it is interrupted.
async fn follow(args: &TailArgs, live: &Live, since: Timestamp) -> Result<(), Error> {
    let mut scans = Vec::new();
    for shard in 0..live.log.shards() {
        let scan = Scan::following(&live.connection, shard, Start::Time(since)).await?;
        scans.push(Box::pin(scan));
    }
    let mut commits = futures::stream::select_all(scans);
    while let Some(commit) = commits.next().await {
        print(args, &commit?)?;
    }
    Ok(())
}

fn print(args: &TailArgs, commit: &Commit) -> Result<(), Error> {
    let (now, filter) = (Timestamp::now(), args.filter.filter());
    let wanted = |recorded: &Recorded<Event>| {
        filter.takes_time(recorded.at, now) && filter.takes_event(recorded)
    };
    for recorded in commit.recorded().filter(wanted) {
        if args.reading.json {
            page::line(&line::of_event(&recorded))?;
        } else {
            let (request, at) = (recorded.request, clock(recorded.at));
            for entry in timeline::entries(std::iter::once(recorded), false) {
                page::print(&format!(
                    "{request} {}",
                    entry_line(&entry, &at, Paint::of_stdout())
                ))?;
            }
        }
    }
    Ok(())
}

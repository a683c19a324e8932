//! `rebuild`: folds the views anew beside the live ones, then swaps them in.

mod bar;

use operations::rebuild::{Rebuild, Rebuilt, Step};
use runtime::Settings;

use crate::command::RebuildArgs;
use crate::output::count;
use crate::{Error, Finding, consent, open, page};
use bar::Bar;

pub async fn run(args: &RebuildArgs, settings: &Settings) -> Result<Finding, Error> {
    let live = open::live(settings).await?;
    let store = open::views(settings).await?;
    let RebuildArgs {
        view,
        restart,
        keep_every,
        ..
    } = args;
    let rebuild = Rebuild::prepare(live, store, view, *restart, *keep_every).await?;
    let why = consent::ask(&will(&rebuild), &args.consent)?;
    let mut bar = Bar::new(rebuild.total());
    let rebuild = rebuild.showing(|step| match step {
        Step::Folded { commits, events } => bar.show(commits, events),
        Step::Switching { commits } => bar.end(commits),
    });
    tell(&rebuild.run(why).await?)
}

fn will(rebuild: &Rebuild<'_>) -> String {
    let goes_on = rebuild.goes_on_after().map_or_else(String::new, |commits| {
        let commits = count(commits, "commit");
        format!(" It continues after the {commits} that are already folded.")
    });
    format!(
        "This folds {} into new views next to the live ones, and then swaps them in: {}.{goes_on}",
        count(rebuild.total(), "commit"),
        rebuild.kinds(),
    )
}

#[allow(clippy::cast_precision_loss)] // A rate is for display.
fn tell(rebuilt: &Rebuilt) -> Result<Finding, Error> {
    page::print(&format!(
        "{} rebuilt of {} and {} in {:.1} s, {:.0} events/s",
        count(rebuilt.views as u64, "view"),
        count(rebuilt.commits, "commit"),
        count(rebuilt.events, "event"),
        rebuilt.seconds,
        rebuilt.folded as f64 / rebuilt.seconds.max(0.001),
    ))?;
    if rebuilt.superseded > 0 {
        page::print(&format!(
            "{} of an earlier version, which nothing reads, removed",
            count(rebuilt.superseded, "key")
        ))?;
    }
    if rebuilt.differ.is_empty() {
        return Ok(Finding::Fine);
    }
    for id in &rebuilt.differ {
        page::print(&format!(
            "{id} still differs: `fanfold replay verify {id}` says how"
        ))?;
    }
    Ok(Finding::Found)
}

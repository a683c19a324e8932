//! `rebuild`: the views folded anew beside the live ones, and then put in their place.
//!
//! What is built is kept in Redis under keys of its own, with how far it has come, so that a
//! rebuild that was stopped goes on where it was. Readers see the old view of a request until
//! they see its new one: there is no moment without. What the projector writes meanwhile is
//! newer, and stays.

mod bar;
mod fold;
mod switch;

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use domain::request::RequestId;
use jiff::Timestamp;
use nats::Operation;
use projections::{Kind, Staging, Store, View};
use runtime::Settings;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::command::RebuildArgs;
use crate::log::{self, Live};
use crate::output::count;
use crate::{Error, Finding, consent, page};
use bar::Bar;

/// The name under which the views are staged: one rebuild at a time.
const STAGED_AS: &str = "all";
/// How many commits are folded before what came of them is kept.
pub const KEEP_EVERY: u64 = 50_000;

/// How far a rebuild has come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Progress {
    /// The next sequence to fold, by shard.
    next: Vec<u64>,
    commits: u64,
    events: u64,
    /// Whether all is folded, and the views are taking their places.
    switching: bool,
}

pub async fn run(args: &RebuildArgs, settings: &Settings) -> Result<Finding, Error> {
    let live = Live::open(settings).await?;
    let store = log::views(settings).await?;
    let staging = store.staging(STAGED_AS);
    if args.restart {
        staging.end().await?;
    }
    let progress = staging.progress::<Progress>().await?;
    let extents = live.extents().await?;
    let commits: u64 = extents.iter().map(|(_, extent)| extent.commits).sum();
    let kinds = kinds(&args.view);
    let named: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    let named = named.join(", ");
    let goes_on = progress.as_ref().map_or_else(String::new, |progress| {
        format!(
            " It goes on after the {} that are folded already.",
            count(progress.commits, "commit")
        )
    });
    let will = format!(
        "This folds {} anew beside the live views, and puts the new ones in their place: \
         {named}.{goes_on}",
        count(commits, "commit")
    );
    let consent = consent::ask(&will, &args.consent)?;
    let begun = Instant::now();
    let mut rebuild = Rebuild {
        live: live.clone(),
        store,
        staging,
        progress: progress.unwrap_or_default(),
        held: HashMap::new(),
        kinds: kinds.clone(),
        keep_every: args.keep_every,
        dirty: HashSet::new(),
        bar: Bar::new(commits),
        suspects: Vec::new(),
        folded: 0,
        superseded: 0,
    };
    let switched = rebuild
        .all(extents.iter().map(|(shard, extent)| (*shard, extent.last)))
        .await?;
    let differ = rebuild.verify(&rebuild.suspects).await?;
    let seconds = begun.elapsed().as_secs_f64();
    live.connection
        .record(&Operation {
            name: "views-rebuilt".into(),
            to: None,
            by: consent.by,
            reason: consent.reason,
            at: Timestamp::now(),
            details: json!({
                "views": named,
                "requests": switched.len(),
                "commits": rebuild.progress.commits,
                "events": rebuild.progress.events,
                "seconds": seconds,
                "differ": differ.len(),
            }),
        })
        .await?;
    tell(&rebuild, switched.len(), seconds, &differ)
}

/// The kinds that are wanted: those that are named, or all.
fn kinds(named: &[Kind]) -> Vec<Kind> {
    let wanted = |kind: &Kind| named.is_empty() || named.contains(kind);
    Kind::all().filter(wanted).collect()
}

#[allow(clippy::cast_precision_loss)] // A rate is for eyes.
fn tell(
    rebuild: &Rebuild,
    switched: usize,
    seconds: f64,
    differ: &[RequestId],
) -> Result<Finding, Error> {
    page::print(&format!(
        "{} rebuilt of {} and {} in {seconds:.1} s, {:.0} events/s",
        count(switched as u64, "view"),
        count(rebuild.progress.commits, "commit"),
        count(rebuild.progress.events, "event"),
        rebuild.folded as f64 / seconds.max(0.001),
    ))?;
    if rebuild.superseded > 0 {
        page::print(&format!(
            "{} of a version before, which nothing reads, taken away",
            count(rebuild.superseded, "key")
        ))?;
    }
    if differ.is_empty() {
        return Ok(Finding::Fine);
    }
    for id in differ {
        page::print(&format!(
            "{id} still differs: `fanfold replay verify {id}` says how"
        ))?;
    }
    Ok(Finding::Found)
}

struct Rebuild {
    live: Live,
    store: Store,
    staging: Staging,
    progress: Progress,
    held: HashMap<RequestId, View>,
    keep_every: u64,
    /// What of the views is put in its place.
    kinds: Vec<Kind>,
    /// The views that changed since they were kept.
    dirty: HashSet<RequestId>,
    bar: Bar,
    /// Those that were not as they were built when they had taken their place.
    suspects: Vec<RequestId>,
    /// The events folded in this run.
    folded: u64,
    /// The keys of a version before that were taken away.
    superseded: u64,
}

impl Rebuild {
    /// Folds, switches, and gives the requests that have their new views.
    async fn all(
        &mut self,
        shards: impl Iterator<Item = (u8, u64)>,
    ) -> Result<Vec<RequestId>, Error> {
        let shards: Vec<(u8, u64)> = shards.collect();
        if !self.progress.switching {
            for (shard, last) in &shards {
                self.fold_shard(*shard, *last).await?;
            }
            self.progress.switching = true;
            self.keep().await?;
        }
        self.bar.end(self.progress.commits);
        let switched = self.switch().await?;
        for (shard, _) in shards {
            let folded = self
                .progress
                .next
                .get(usize::from(shard))
                .copied()
                .unwrap_or(1)
                - 1;
            self.store.advance(shard, 0, folded).await?;
        }
        if self.kinds.contains(&Kind::Groups) {
            self.superseded = self.store.remove_superseded().await?;
        }
        self.staging.end().await?;
        Ok(switched)
    }
}

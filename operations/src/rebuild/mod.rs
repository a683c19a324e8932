//! The rebuild of the views: folds them anew beside the live ones, and then swaps them in.
//!
//! Redis stores the new views under separate keys, with the progress, so that a stopped rebuild
//! resumes. Readers see the old view of a request until its new one is swapped in. A view that the
//! projector writes meanwhile is newer, and stays.

mod fold;
mod switch;

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use domain::request::{RequestId, Sequence};
use history::Error;
use history::live::Live;
use jiff::Timestamp;
use nats::Operation;
use projections::{Kind, Staging, StoppedView, Store, View};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Why;

/// The name under which the views are staged. Only one rebuild runs at a time.
const STAGED_AS: &str = "all";
/// How many commits are folded before the views are stored.
pub const KEEP_EVERY: u64 = 50_000;

/// The progress of a rebuild, as Redis keeps it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Progress {
    /// The next sequence to fold, by shard.
    next: Vec<Sequence>,
    commits: u64,
    events: u64,
    /// Whether all commits are folded, and the views are being swapped in.
    switching: bool,
}

/// A step of a rebuild, for a caller that shows the progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// This many commits are folded, and this many events in this run.
    Folded {
        /// All folded commits.
        commits: u64,
        /// The events of this run.
        events: u64,
    },
    /// All commits are folded, and the views are being swapped in.
    Switching {
        /// All folded commits.
        commits: u64,
    },
}

/// The outcome of a rebuild.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    /// The number of views.
    pub views: usize,
    /// The number of commits.
    pub commits: u64,
    /// The number of events.
    pub events: u64,
    /// The number of events that were folded in this run.
    pub folded: u64,
    /// The keys of an earlier version that were removed.
    pub superseded: u64,
    /// The requests whose views still differ.
    pub differ: Vec<RequestId>,
    /// The duration in seconds.
    pub seconds: f64,
}

/// A rebuild.
pub struct Rebuild<'s> {
    live: Live,
    store: Store,
    staging: Staging,
    /// The number and the last sequence of each shard.
    shards: Vec<(u8, Sequence)>,
    total: u64,
    begun_before: bool,
    progress: Progress,
    held: HashMap<RequestId, View>,
    keep_every: u64,
    /// The kinds of keys that are swapped in.
    kinds: Vec<Kind>,
    /// The views that changed since the last store.
    dirty: HashSet<RequestId>,
    show: Box<dyn FnMut(Step) + Send + 's>,
    /// The requests whose stored views differed from the rebuilt ones after the swap.
    suspects: Vec<RequestId>,
    /// The events folded in this run.
    folded: u64,
    /// The requests whose commits ended the projector, each with the commit at which its view stops.
    convicted: HashMap<RequestId, Sequence>,
}

impl<'s> Rebuild<'s> {
    /// Reads the extent of the log and the progress of a stopped rebuild. Without kinds, the
    /// rebuild covers every kind of key. With `restart`, it discards the progress.
    pub async fn prepare(
        live: Live,
        store: Store,
        named: &[Kind],
        restart: bool,
        keep_every: u64,
    ) -> Result<Self, Error> {
        let staging = store.staging(STAGED_AS);
        if restart {
            staging.end().await?;
        }
        let progress = staging.progress::<Progress>().await?;
        let extents = live.extents().await?;
        let stopped = store.stopped_views().await?.into_iter();
        let convicted = stopped
            .filter(StoppedView::is_convicted)
            .map(|view| (view.request_id, view.sequence));
        let wanted = |kind: &Kind| named.is_empty() || named.contains(kind);
        let kinds = Kind::all().filter(wanted).collect();
        Ok(Self {
            shards: extents
                .iter()
                .map(|(shard, extent)| (*shard, extent.last))
                .collect(),
            total: extents.iter().map(|(_, extent)| extent.commits).sum(),
            begun_before: progress.is_some(),
            progress: progress.unwrap_or_default(),
            live,
            store,
            staging,
            held: HashMap::new(),
            keep_every,
            kinds,
            dirty: HashSet::new(),
            show: Box::new(|_| {}),
            suspects: Vec::new(),
            folded: 0,
            convicted: convicted.collect(),
        })
    }

    /// Sets the callback that receives the steps.
    #[must_use]
    pub fn showing(mut self, show: impl FnMut(Step) + Send + 's) -> Self {
        self.show = Box::new(show);
        self
    }

    /// The number of commits in the log.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The number of commits that an earlier rebuild has folded, if there was one.
    #[must_use]
    pub fn goes_on_after(&self) -> Option<u64> {
        self.begun_before.then_some(self.progress.commits)
    }

    /// The names of the kinds of keys, with commas between them.
    #[must_use]
    pub fn kinds(&self) -> String {
        let names: Vec<&str> = self.kinds.iter().map(|kind| kind.name()).collect();
        names.join(", ")
    }

    /// Rebuilds, compares, and records the operation.
    pub async fn run(mut self, why: Why) -> Result<Rebuilt, Error> {
        let begun = Instant::now();
        let (views, superseded) = self.all().await?;
        let rebuilt = Rebuilt {
            views,
            commits: self.progress.commits,
            events: self.progress.events,
            folded: self.folded,
            superseded,
            differ: self.verify(&self.suspects).await?,
            seconds: begun.elapsed().as_secs_f64(),
        };
        self.record(why, &rebuilt).await?;
        Ok(rebuilt)
    }

    async fn record(&self, why: Why, rebuilt: &Rebuilt) -> Result<(), Error> {
        let Why {
            by,
            on_behalf_of,
            reason,
        } = why;
        let operation = Operation {
            name: "views-rebuilt".into(),
            to: None,
            by,
            on_behalf_of,
            reason,
            at: Timestamp::now(),
            details: json!({
                "views": self.kinds(),
                "requests": rebuilt.views,
                "commits": rebuilt.commits,
                "events": rebuilt.events,
                "seconds": rebuilt.seconds,
                "differ": rebuilt.differ.len(),
            }),
        };
        self.live.connection.record(&operation).await?;
        Ok(())
    }

    /// Folds and swaps. Returns the number of new views, and of the removed keys of an earlier
    /// version.
    async fn all(&mut self) -> Result<(usize, u64), Error> {
        let shards = self.shards.clone();
        if !self.progress.switching {
            for (shard, last) in &shards {
                self.fold_shard(*shard, *last).await?;
            }
            self.progress.switching = true;
            self.keep().await?;
        }
        let commits = self.progress.commits;
        (self.show)(Step::Switching { commits });
        let switched = self.switch().await?;
        for (shard, _) in shards {
            let next = self.progress.next.get(usize::from(shard));
            let folded = next.map_or(Sequence::NONE, |next| next.before());
            self.store.advance(shard, Sequence::NONE, folded).await?;
        }
        let superseded = if self.kinds.contains(&Kind::Groups) {
            self.store.remove_superseded().await?
        } else {
            0
        };
        self.staging.end().await?;
        Ok((switched.len(), superseded))
    }
}

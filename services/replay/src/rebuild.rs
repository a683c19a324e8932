//! `rebuild`: the views folded anew beside the live ones, and then put in their place.
//!
//! What is built is kept in Redis under keys of its own, with how far it has come, so that a
//! rebuild that was stopped goes on where it was. Readers see the old view of a request until
//! they see its new one: there is no moment without. What the projector writes meanwhile is
//! newer, and stays.

use std::collections::{HashMap, HashSet};
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use domain::request::RequestId;
use jiff::Timestamp;
use nats::{Commit, Operation, Start};
use projections::{Difference, Kind, Staging, Store, View, fold};
use runtime::Settings;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::command::RebuildArgs;
use crate::log::{self, Ahead, Live};
use crate::output::count;
use crate::verify::{differences, is_expired};
use crate::{Error, Finding, consent, page};

/// The name under which the views are staged: one rebuild at a time.
const STAGED_AS: &str = "all";
/// How many commits are folded before what came of them is kept.
pub const KEEP_EVERY: u64 = 50_000;
/// The most views that are held in memory.
const MAX_HELD: usize = 20_000;
/// How many views take their place, and are compared, at once.
const SWITCHED_AT_ONCE: usize = 128;
/// How often the progress is shown.
const SHOW_EVERY: Duration = Duration::from_millis(200);
/// The width of the progress bar.
const BAR: u64 = 30;

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
fn kinds(names: &[String]) -> Vec<Kind> {
    let mut kinds = Kind::ALL.to_vec();
    kinds.retain(|kind| names.is_empty() || names.iter().any(|name| name == kind.name()));
    kinds
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
        self.staging.end().await?;
        Ok(switched)
    }

    async fn fold_shard(&mut self, shard: u8, last: u64) -> Result<(), Error> {
        let index = usize::from(shard);
        if self.progress.next.len() <= index {
            self.progress.next.resize(index + 1, 1);
        }
        let start = Start::Sequence(self.progress.next[index]);
        let mut ahead = Ahead::open(&self.live, shard, start, last).await?;
        let mut unkept = 0;
        while let Some(chunk) = ahead.next().await? {
            // A view never skips an event: what cannot be read stops a rebuild.
            let commits = chunk
                .into_iter()
                .collect::<Result<Vec<Commit>, _>>()
                .map_err(|unreadable| unreadable.error)?;
            let after = commits.last().map_or(0, |commit| commit.sequence + 1);
            self.take_in(&commits).await?;
            self.progress.next[index] = after;
            self.progress.commits += commits.len() as u64;
            unkept += commits.len() as u64;
            if unkept >= self.keep_every {
                self.keep().await?;
                unkept = 0;
            }
            self.bar.show(self.progress.commits, self.folded);
        }
        Ok(())
    }

    async fn take_in(&mut self, commits: &[Commit]) -> Result<(), Error> {
        let missing: HashSet<RequestId> = commits
            .iter()
            .filter(|commit| commit.previous > 0 && !self.held.contains_key(&commit.request))
            .map(|commit| commit.request)
            .collect();
        if !missing.is_empty() {
            let missing: Vec<RequestId> = missing.into_iter().collect();
            for view in self.staging.views(&missing).await? {
                self.held.insert(view.request_id, view);
            }
        }
        for commit in commits {
            let events = commit.events.len() as u64;
            self.progress.events += events;
            self.folded += events;
            let before = self.held.remove(&commit.request);
            if let Some(view) = fold(before, commit.recorded()) {
                self.dirty.insert(commit.request);
                self.held.insert(commit.request, view);
            }
        }
        Ok(())
    }

    /// Keeps what changed, and lets go of what has ended.
    async fn keep(&mut self) -> Result<(), Error> {
        let dirty = std::mem::take(&mut self.dirty);
        let views: Vec<&View> = dirty.iter().filter_map(|id| self.held.get(id)).collect();
        self.staging.keep(&views, &self.progress).await?;
        self.held.retain(|_, view| !view.status.is_terminal());
        if self.held.len() > MAX_HELD {
            self.held.clear();
        }
        Ok(())
    }

    /// Puts every staged view in its place.
    async fn switch(&mut self) -> Result<Vec<RequestId>, Error> {
        let mut switched = Vec::new();
        let mut cursor = 0;
        loop {
            let (next, ids) = self.staging.ids(cursor).await?;
            let views = self.staging.views(&ids).await?;
            for views in views.chunks(SWITCHED_AT_ONCE) {
                let places = views.iter().map(|view| self.replace(view));
                futures::future::try_join_all(places).await?;
                let compared = self.store.differences(views).await?;
                let differ = views
                    .iter()
                    .zip(compared)
                    .filter(|(_, (_, found))| concern(&self.kinds, found));
                let kept = differ.filter(|(view, _)| !is_expired(&self.store, view));
                self.suspects.extend(kept.map(|(view, _)| view.request_id));
            }
            self.staging.drop_views(&ids).await?;
            switched.extend(ids);
            cursor = next;
            if cursor == 0 {
                switched.sort_unstable();
                switched.dedup();
                return Ok(switched);
            }
        }
    }

    async fn replace(&self, view: &View) -> Result<(), Error> {
        if is_expired(&self.store, view) || self.store.replace(view, &self.kinds).await? {
            return Ok(());
        }
        self.repair(view.request_id).await
    }

    /// What is there says that it is newer: it is, or it holds a sequence that the log never had.
    async fn repair(&self, id: RequestId) -> Result<(), Error> {
        let commits = self.live.log.read(id, 0).await?;
        let Some(view) = fold(None, commits.iter().flat_map(Commit::recorded)) else {
            return Ok(());
        };
        if self.store.replace(&view, &self.kinds).await? {
            return Ok(());
        }
        self.store.remove(&view, &self.kinds).await?;
        self.store.replace(&view, &self.kinds).await?;
        Ok(())
    }

    /// The requests whose views still differ, of those that did when they took their place: the
    /// projector may have gone on, or a key holds a sequence that the log never had.
    async fn verify(&self, suspects: &[RequestId]) -> Result<Vec<RequestId>, Error> {
        let mut still = Vec::new();
        for id in suspects {
            let found = differences(&self.live, &self.store, *id).await?;
            if !concern(&self.kinds, &found) {
                continue;
            }
            self.repair_keys(*id).await?;
            let found = differences(&self.live, &self.store, *id).await?;
            if concern(&self.kinds, &found) {
                still.push(*id);
            }
        }
        Ok(still)
    }

    async fn repair_keys(&self, id: RequestId) -> Result<(), Error> {
        let commits = self.live.log.read(id, 0).await?;
        if let Some(view) = fold(None, commits.iter().flat_map(Commit::recorded)) {
            self.store.remove(&view, &self.kinds).await?;
            self.store.replace(&view, &self.kinds).await?;
        }
        Ok(())
    }
}

/// Whether any of what differs is of these kinds: the rest is not built, and stays as it is.
fn concern(kinds: &[Kind], differ: &[Difference]) -> bool {
    differ.iter().any(|found| kinds.contains(&found.kind))
}

/// The progress bar, on a terminal only.
struct Bar {
    total: u64,
    begun: Instant,
    shown: Option<Instant>,
    wanted: bool,
}

impl Bar {
    fn new(total: u64) -> Self {
        Self {
            total,
            begun: Instant::now(),
            shown: None,
            wanted: std::io::stderr().is_terminal(),
        }
    }

    #[allow(clippy::cast_precision_loss)] // A rate is for eyes.
    fn show(&mut self, done: u64, events: u64) {
        if !self.wanted || self.shown.is_some_and(|at| at.elapsed() < SHOW_EVERY) {
            return;
        }
        self.shown = Some(Instant::now());
        let full = (done * BAR).checked_div(self.total).unwrap_or(BAR).min(BAR);
        let of = |times: u64, with: &str| with.repeat(usize::try_from(times).unwrap_or(0));
        let rate = events as f64 / self.begun.elapsed().as_secs_f64().max(0.001);
        eprint!(
            "\r{}{} {done}/{} commits, {rate:.0} events/s ",
            of(full, "█"),
            of(BAR - full, "░"),
            self.total
        );
        // A bar that is not seen harms nothing.
        let _ = std::io::stderr().flush();
    }

    fn end(&self, done: u64) {
        if self.wanted && self.shown.is_some() {
            eprintln!("\r{} {done} commits folded; switching", "█".repeat(30));
        }
    }
}

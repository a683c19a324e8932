//! `verify`: the log folded again, its invariants, and everything that hangs on it.

mod dead_letters;
mod documents;
mod invariants;
mod orphans;
mod payloads;
mod views;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use domain::request::RequestId;
use jiff::Timestamp;
use nats::{Commit, Start};
use projections::{View, fold};
use runtime::Settings;
use serde::Serialize;
use serde_json::json;

use crate::command::VerifyArgs;
use crate::log::{self, Ahead, Chunk, Live};
use crate::output::{Paint, count, wrap};
use crate::source::Source;
use crate::{Error, Finding, page, redecide};
use dead_letters::DeadLetters;
use invariants::Checked;
use payloads::Payloads;
use views::Views;
pub use views::{differences, is_expired};

/// The most findings that are told one by one; the others are counted.
const MAX_FINDINGS: usize = 1_000;
/// The most requests whose views are kept while the log is read; the others are looked at one by
/// one afterwards. With the few bytes kept of each ended request, it is what bounds the memory.
const MAX_OPEN: usize = 20_000;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    pub request_id: Option<RequestId>,
    /// `log`, `view`, `payload`, `dead-letter`, `document` or `decision`.
    pub kind: &'static str,
    /// The commit that it is about.
    pub sequence: Option<u64>,
    /// The Redis key or the payload it is about.
    pub key: Option<String>,
    pub message: String,
}

/// What was looked at, and what was found.
#[derive(Default)]
pub struct Report {
    pub commits: u64,
    pub events: u64,
    pub requests: u64,
    pub views: u64,
    pub payloads: u64,
    pub dead_letters: u64,
    pub documents: u64,
    pub notes: BTreeMap<String, u64>,
    pub problems: Vec<Problem>,
    pub more: u64,
}

impl Report {
    pub fn problem(&mut self, problem: Problem) {
        if self.problems.len() < MAX_FINDINGS {
            self.problems.push(problem);
        } else {
            self.more += 1;
        }
    }

    /// Something worth saying that is no finding.
    pub fn note(&mut self, note: impl Into<String>) {
        *self.notes.entry(note.into()).or_default() += 1;
    }
}

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
        (Some(id), _) => run.one(id, settings).await?,
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

/// One run over some of the log.
struct Run {
    live: Live,
    views: Option<Views>,
    payloads: Payloads,
    dead_letters: DeadLetters,
    report: Report,
    checked: HashMap<RequestId, Checked>,
    /// The views of requests that go on, as far as the log is read.
    open: HashMap<RequestId, View>,
    /// Requests that are looked at on their own afterwards.
    again: HashSet<RequestId>,
}

impl Run {
    fn new(live: Live, views: Option<Views>) -> Self {
        Self {
            payloads: Payloads::new(live.payloads.clone()),
            live,
            views,
            dead_letters: DeadLetters::default(),
            report: Report::default(),
            checked: HashMap::new(),
            open: HashMap::new(),
            again: HashSet::new(),
        }
    }

    async fn all(&mut self) -> Result<(), Error> {
        self.dead_letters.keep_all();
        for (shard, extent) in self.live.extents().await? {
            let start = Start::Sequence(1);
            let mut ahead = Ahead::open(&self.live, shard, start, extent.last).await?;
            while let Some(chunk) = ahead.next().await? {
                let commits = self.readable(chunk);
                self.take_in(commits, extent.first).await?;
            }
        }
        self.report.requests = self.checked.len() as u64;
        self.end(true).await?;
        self.orphans().await
    }

    async fn orphans(&mut self) -> Result<(), Error> {
        let Some(views) = &self.views else {
            return Ok(());
        };
        let extents = self.live.extents().await?;
        let kept_for = extents.iter().map(|(_, extent)| extent.kept_for).min();
        let groups = |id| self.checked.get(&id).map(Checked::groups);
        let store = views.store();
        let kept_for = kept_for.unwrap_or_default();
        orphans::find(&self.live, store, groups, kept_for, &mut self.report).await
    }

    /// Those that can be read; one that cannot is a finding.
    fn readable(&mut self, chunk: Chunk) -> Vec<Commit> {
        let mut commits = Vec::with_capacity(chunk.len());
        for commit in chunk {
            match commit {
                Ok(commit) => commits.push(commit),
                Err(unreadable) => {
                    if let Some(id) = unreadable.request {
                        self.checked.entry(id).or_default().skip();
                        self.open.remove(&id);
                        self.again.insert(id);
                    }
                    self.report.problem(Problem {
                        request_id: unreadable.request,
                        kind: "log",
                        sequence: Some(unreadable.sequence),
                        key: None,
                        message: unreadable.error.to_string(),
                    });
                }
            }
        }
        commits
    }

    /// Every request with a commit since then: each is read whole.
    async fn since(&mut self, since: Timestamp) -> Result<(), Error> {
        let mut ids = HashSet::new();
        self.live
            .each(Some(since), |commit| {
                ids.insert(commit.request);
                true
            })
            .await?;
        self.report.requests = ids.len() as u64;
        for id in ids {
            if let Some(commits) = self.commits(id).await? {
                self.whole(id, commits).await?;
            }
        }
        self.end(false).await
    }

    /// One request, the decisions included.
    async fn one(&mut self, id: RequestId, settings: &Settings) -> Result<(), Error> {
        self.report.requests = 1;
        let Some(commits) = self.commits(id).await? else {
            return Ok(());
        };
        if commits.is_empty() {
            return Err(log::absent(id));
        }
        let source = Source::Live(Box::new(self.live.clone()));
        let divergence = redecide::request(&source, &commits, settings.fail_fast).await?;
        if let Some(d) = divergence {
            self.report.problem(Problem {
                request_id: Some(id),
                kind: "decision",
                sequence: Some(d.sequence),
                key: None,
                message: format!(
                    "this build decides event {} otherwise: {}; recorded is {}",
                    d.index,
                    d.decided.as_ref().map_or("nothing", |event| event.name()),
                    d.recorded.as_ref().map_or("nothing", |event| event.name()),
                ),
            });
        }
        documents::compare(&source, id, &commits, &mut self.report).await?;
        self.whole(id, commits).await?;
        self.end(false).await
    }

    /// The documents of every request that was looked at.
    async fn documents(&mut self) -> Result<(), Error> {
        let source = Source::Live(Box::new(self.live.clone()));
        let mut ids: Vec<RequestId> = self.checked.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            // What cannot be read was found when the log was.
            if let Ok(commits) = readable(self.live.log.read(id, 0).await)? {
                documents::compare(&source, id, &commits, &mut self.report).await?;
            }
        }
        Ok(())
    }

    /// The commits of a request; that one of them cannot be read is a finding.
    async fn commits(&mut self, id: RequestId) -> Result<Option<Vec<Commit>>, Error> {
        match readable(self.live.log.read(id, 0).await)? {
            Ok(commits) => Ok(Some(commits)),
            Err(message) => {
                self.report.problem(Problem {
                    request_id: Some(id),
                    kind: "log",
                    sequence: None,
                    key: None,
                    message,
                });
                Ok(None)
            }
        }
    }

    async fn whole(&mut self, id: RequestId, commits: Vec<Commit>) -> Result<(), Error> {
        let first = self
            .live
            .connection
            .extent(id.partition().shard(self.live.log.shards()))
            .await?;
        self.take_in(commits, first.first).await
    }

    async fn take_in(&mut self, commits: Vec<Commit>, first: u64) -> Result<(), Error> {
        for commit in commits {
            self.report.commits += 1;
            self.report.events += commit.events.len() as u64;
            let checked = self.checked.entry(commit.request).or_default();
            checked.take_in(&commit, first, &mut self.report);
            self.payloads.take_in(&commit, &mut self.report).await;
            self.dead_letters.take_in(&commit);
            if self.views.is_some() {
                self.fold(commit).await?;
            }
        }
        Ok(())
    }

    /// Folds a commit into its view, which is compared when the request has ended.
    async fn fold(&mut self, commit: Commit) -> Result<(), Error> {
        let id = commit.request;
        let before = self.open.remove(&id);
        let known = before.is_some() || commit.previous == 0;
        if !known || self.open.len() >= MAX_OPEN || self.again.contains(&id) {
            self.again.insert(id);
            return Ok(());
        }
        let Some(view) = fold(before, commit.recorded()) else {
            return Ok(());
        };
        if commit.is_terminal() {
            if let Some(views) = &mut self.views {
                self.again.extend(views.take(view).await?);
            }
        } else {
            self.open.insert(id, view);
        }
        Ok(())
    }

    async fn end(&mut self, all: bool) -> Result<(), Error> {
        if let Some(views) = &mut self.views {
            for view in std::mem::take(&mut self.open).into_values() {
                self.again.extend(views.take(view).await?);
            }
            self.again.extend(views.rest().await?);
            self.report.views = views.compared;
            views
                .again(&self.live, &self.again, &mut self.report)
                .await?;
        }
        self.payloads.rest(&mut self.report).await;
        self.dead_letters
            .compare(&self.live, all, &mut self.report)
            .await
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

fn counts(report: &Report, seconds: f64) -> serde_json::Value {
    json!({
        "commits": report.commits,
        "events": report.events,
        "requests": report.requests,
        "views": report.views,
        "payloads": report.payloads,
        "deadLetters": report.dead_letters,
        "documents": report.documents,
        "notes": report.notes,
        "findings": report.problems.len() as u64 + report.more,
        "seconds": seconds,
    })
}

#[allow(clippy::cast_precision_loss)] // A rate is for eyes.
fn told(report: &Report, seconds: f64) -> String {
    use std::fmt::Write as _;
    let paint = Paint::of_stdout();
    let mut text = String::new();
    for problem in &report.problems {
        let mut told = problem.kind.to_owned();
        for part in [
            problem.request_id.map(|id| id.to_string()),
            problem.sequence.map(|sequence| format!("at {sequence}")),
            problem.key.clone(),
        ] {
            told.extend(part.map(|part| format!(" {part}")));
        }
        let _ = writeln!(text, "{} {told}", paint.red("✗"));
        let _ = writeln!(text, "{}", wrap(&problem.message, paint.width, "    "));
    }
    if report.more > 0 {
        let _ = writeln!(text, "  … and {} more", report.more);
    }
    for (note, times) in &report.notes {
        let _ = writeln!(
            text,
            "{}",
            wrap(&format!("{note} ({times})"), paint.width, "  ")
        );
    }
    let verdict = match report.problems.len() as u64 + report.more {
        0 => paint.green("✓ nothing differs"),
        problems => paint.red(&count(problems, "finding")),
    };
    let _ = writeln!(
        text,
        "{verdict}: {}, {}, {}; {} compared, {}, {} and {} checked; {:.0} events/s",
        count(report.requests, "request"),
        count(report.commits, "commit"),
        count(report.events, "event"),
        count(report.views, "view"),
        count(report.payloads, "payload"),
        count(report.dead_letters, "dead letter"),
        count(report.documents, "document"),
        report.events as f64 / seconds.max(0.001),
    );
    text
}

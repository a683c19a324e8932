//! `summary`: a period beside the period before, so that what changed stands out.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use domain::request::{Event, RequestId};
use jiff::{SignedDuration, Timestamp};
use nats::Commit;
use runtime::Settings;
use serde::Serialize;
use serde_json::json;

use crate::command::SummaryArgs;
use crate::log::Live;
use crate::output::{Paint, duration, millis, time};
use crate::{Error, Finding, page};

/// The most lines of each list.
const SHOWN: usize = 10;
/// What grew or shrank by this factor stands out.
const STANDS_OUT: f64 = 2.0;

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

/// The names of the groups that run, and when they started.
type Groups = HashMap<(RequestId, u32), (String, Timestamp)>;

#[derive(Default)]
struct Tally {
    counts: BTreeMap<&'static str, u64>,
    fingerprints: BTreeMap<String, u64>,
    /// By the name of the group, how long it took in all.
    groups: BTreeMap<String, Vec<u64>>,
    /// By the name of the group: attempts, and attempts that failed.
    attempts: BTreeMap<String, (u64, u64)>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    counts: &'a BTreeMap<&'static str, u64>,
    received_per_second: f64,
    fingerprints: &'a BTreeMap<String, u64>,
    groups: BTreeMap<&'a String, Spread>,
    attempts: BTreeMap<&'a String, Attempts>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct Spread {
    count: usize,
    median_ms: u64,
    p95_ms: u64,
}

#[derive(Serialize)]
struct Attempts {
    attempts: u64,
    failed: u64,
}

impl Tally {
    fn take_in(&mut self, commit: &Commit, groups: &mut Groups) {
        let unnamed = || "-".to_owned();
        for event in &commit.events {
            *self.counts.entry(event.name()).or_default() += 1;
            match event {
                Event::GroupStarted(e) => {
                    let name = e.name.clone().unwrap_or_else(unnamed);
                    groups.insert((commit.request, e.group), (name, commit.at));
                }
                Event::GroupCompleted { group } => {
                    if let Some((name, started)) = groups.remove(&(commit.request, *group)) {
                        let took = commit.at.duration_since(started).as_millis();
                        let took = u64::try_from(took).unwrap_or(0);
                        self.groups.entry(name).or_default().push(took);
                    }
                }
                Event::TaskSucceeded(e) => self.attempt(groups, commit, e.group, 0),
                Event::TaskFailed(e) => self.attempt(groups, commit, e.group, 1),
                Event::Failed(e) => {
                    *self
                        .fingerprints
                        .entry(e.failure.fingerprint())
                        .or_default() += 1;
                }
                _ => {}
            }
        }
    }

    fn attempt(&mut self, groups: &Groups, commit: &Commit, group: u32, failed: u64) {
        let known = groups.get(&(commit.request, group));
        let name = known.map_or_else(|| "-".to_owned(), |(name, _)| name.clone());
        let attempts = self.attempts.entry(name).or_default();
        attempts.0 += 1;
        attempts.1 += failed;
    }

    fn spreads(&self) -> BTreeMap<&String, Spread> {
        let spread = |took: &Vec<u64>| {
            let mut took = took.clone();
            took.sort_unstable();
            let at = |percent: usize| took[(took.len() - 1) * percent / 100];
            Spread {
                count: took.len(),
                median_ms: at(50),
                p95_ms: at(95),
            }
        };
        self.groups
            .iter()
            .map(|(name, took)| (name, spread(took)))
            .collect()
    }

    fn told(&self, length: SignedDuration) -> Told<'_> {
        let received = self.counts.get("received").copied().unwrap_or(0);
        Told {
            counts: &self.counts,
            received_per_second: f64_of(received) / length.as_secs_f64().max(0.001),
            fingerprints: &self.fingerprints,
            groups: self.spreads(),
            attempts: self
                .attempts
                .iter()
                .map(|(name, (attempts, failed))| {
                    (
                        name,
                        Attempts {
                            attempts: *attempts,
                            failed: *failed,
                        },
                    )
                })
                .collect(),
        }
    }
}

#[allow(clippy::cast_precision_loss)] // Counts of events are far below 2^52.
fn f64_of(number: u64) -> f64 {
    number as f64
}

fn told(since: Timestamp, length: SignedDuration, later: &Tally, earlier: &Tally) -> String {
    let paint = Paint::of_stdout();
    let mut text = format!(
        "{} since {}, beside the {} before\n",
        paint.bold(&format!("the last {}", duration(length))),
        time(since),
        duration(length)
    );
    let rate = |tally: &Tally| tally.told(length).received_per_second;
    let _ = writeln!(
        text,
        "  received {:.2}/s, before {:.2}/s",
        rate(later),
        rate(earlier)
    );
    list(&mut text, "events", &later.counts, &earlier.counts, paint);
    list(
        &mut text,
        "failures by fingerprint",
        &later.fingerprints,
        &earlier.fingerprints,
        paint,
    );
    slowest(&mut text, later, earlier, paint);
    let _ = writeln!(text, "\n{}", paint.bold("attempts by group name"));
    for (name, (attempts, failed)) in later.attempts.iter().take(SHOWN) {
        let before = earlier.attempts.get(name).copied().unwrap_or_default();
        let _ = writeln!(
            text,
            "  {name:<24} {attempts:>9} attempts, {failed} failed; before {}, {} failed",
            before.0, before.1
        );
    }
    text
}

fn slowest(text: &mut String, later: &Tally, earlier: &Tally, paint: Paint) {
    let _ = writeln!(text, "\n{}", paint.bold("slowest groups"));
    let (now, then) = (later.spreads(), earlier.spreads());
    let mut slowest: Vec<_> = now.into_iter().collect();
    slowest.sort_by_key(|(_, spread)| std::cmp::Reverse(spread.p95_ms));
    for (name, spread) in slowest.into_iter().take(SHOWN) {
        let before = then.get(name).map_or_else(
            || "-".to_owned(),
            |before| format!("{} / {}", millis(before.median_ms), millis(before.p95_ms)),
        );
        let _ = writeln!(
            text,
            "  {name:<24} {:>9} groups, median {} / p95 {}; before {before}",
            spread.count,
            millis(spread.median_ms),
            millis(spread.p95_ms)
        );
    }
}

fn list<K: Ord + std::fmt::Display>(
    text: &mut String,
    title: &str,
    now: &BTreeMap<K, u64>,
    then: &BTreeMap<K, u64>,
    paint: Paint,
) {
    let _ = writeln!(text, "\n{}", paint.bold(title));
    let mut names: Vec<&K> = now.keys().chain(then.keys()).collect();
    names.sort();
    names.dedup();
    names.sort_by_key(|name| std::cmp::Reverse(now.get(*name).copied().unwrap_or(0)));
    for name in names.into_iter().take(SHOWN) {
        let number = now.get(name).copied().unwrap_or(0);
        let before = then.get(name).copied().unwrap_or(0);
        let stands_out = f64_of(number) >= STANDS_OUT * f64_of(before)
            || f64_of(before) >= STANDS_OUT * f64_of(number);
        let line = format!("  {:<40} {number:>9}  before {before}", name.to_string());
        let line = if stands_out {
            paint.yellow(&format!("{line}  ◀"))
        } else {
            line
        };
        let _ = writeln!(text, "{line}");
    }
}

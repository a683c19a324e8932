//! A period compared with the one before, for a terminal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use history::summary::{Attempts, Tally, f64_of};
use jiff::{SignedDuration, Timestamp};

use crate::output::{Paint, duration, millis, time};

/// The most lines of each list.
const SHOWN: usize = 10;
/// A number that changed by this factor is highlighted.
const STANDS_OUT: f64 = 2.0;

pub fn told(since: Timestamp, length: SignedDuration, later: &Tally, earlier: &Tally) -> String {
    let paint = Paint::of_stdout();
    let mut text = format!(
        "{} since {}, compared with the {} before\n",
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
    for (title, now, then) in [
        (
            "attempts by task type",
            &later.task_types,
            &earlier.task_types,
        ),
        ("attempts by group name", &later.attempts, &earlier.attempts),
    ] {
        attempts(&mut text, title, now, then, paint);
    }
    text
}

fn attempts(
    text: &mut String,
    title: &str,
    now: &BTreeMap<String, Attempts>,
    then: &BTreeMap<String, Attempts>,
    paint: Paint,
) {
    let _ = writeln!(text, "\n{}", paint.bold(title));
    for (name, now, then) in beside(now, then, |attempts| attempts.attempts) {
        let line = format!(
            "  {name:<24} {:>9} attempts, {} failed; before {}, {} failed",
            now.attempts, now.failed, then.attempts, then.failed
        );
        let marked = stands_out(now.attempts, then.attempts) || stands_out(now.failed, then.failed);
        let _ = writeln!(text, "{}", mark(line, marked, paint));
    }
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
    for (name, number, before) in beside(now, then, |number| *number) {
        let line = format!("  {:<40} {number:>9}  before {before}", name.to_string());
        let _ = writeln!(text, "{}", mark(line, stands_out(number, before), paint));
    }
}

/// The largest entry of each name, with its value in the period before.
fn beside<'a, K: Ord, V: Copy + Default>(
    now: &'a BTreeMap<K, V>,
    then: &'a BTreeMap<K, V>,
    size: impl Fn(&V) -> u64,
) -> Vec<(&'a K, V, V)> {
    let names: BTreeSet<&K> = now.keys().chain(then.keys()).collect();
    let of = |all: &BTreeMap<K, V>, name| all.get(name).copied().unwrap_or_default();
    let mut rows: Vec<(&K, V, V)> = names
        .into_iter()
        .map(|name| (name, of(now, name), of(then, name)))
        .collect();
    rows.sort_by_key(|(_, number, _)| std::cmp::Reverse(size(number)));
    rows.truncate(SHOWN);
    rows
}

fn stands_out(now: u64, before: u64) -> bool {
    let grew = |from: u64, to: u64| f64_of(to) >= STANDS_OUT * f64_of(from);
    now != before && (grew(before, now) || grew(now, before))
}

fn mark(line: String, marked: bool, paint: Paint) -> String {
    if marked {
        paint.yellow(&format!("{line}  ◀"))
    } else {
        line
    }
}

//! The report of a run: figures, and each check with what it found.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::check::{CHECKS, Checked, counted};
use crate::ledger::Record;
use crate::{Inflicted, Plan};

/// How many findings of a check the report shows. The file `findings.jsonl` has all of them.
const SHOWN: usize = 5;
/// With no loss in n requests, fewer than 3/n of all requests are lost, with 95 % confidence.
const RULE_OF_THREE: f64 = 3.0;

/// The outcome of a run.
pub struct Report {
    text: String,
    findings: usize,
    folder: PathBuf,
}

impl Report {
    pub(crate) fn new(
        plan: &Plan,
        folder: &Path,
        records: &[Record],
        inflicted: &Inflicted,
        lasted: Duration,
        drained: Option<Duration>,
        checked: &Checked,
    ) -> anyhow::Result<Self> {
        let mut findings = String::new();
        for finding in &checked.findings {
            findings.push_str(&serde_json::to_string(finding)?);
            findings.push('\n');
        }
        std::fs::write(folder.join("findings.jsonl"), findings)?;
        let mut text = format!(
            "chaos with seed {}: {:.0} s under faults, {} shards\n\n",
            plan.seed,
            lasted.as_secs_f64(),
            plan.shards
        );
        for (name, figure) in figures(records, inflicted, drained) {
            line(&mut text, name, &figure);
        }
        for (name, figure) in &checked.figures {
            line(&mut text, name, figure);
        }
        text.push('\n');
        for (check, asserted) in CHECKS {
            judge(&mut text, checked, check, asserted);
        }
        text.push('\n');
        let count = checked.findings.len();
        text.push_str(&conclusion(records, count, folder));
        std::fs::write(folder.join("report.txt"), &text)?;
        Ok(Self {
            text,
            findings: count,
            folder: folder.to_owned(),
        })
    }

    /// Whether every check found nothing.
    pub fn is_clean(&self) -> bool {
        self.findings == 0
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The folder with the ledger, the timeline and the logs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

fn line(text: &mut String, name: &str, figure: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{name:32} {figure}");
}

fn figures(
    records: &[Record],
    inflicted: &Inflicted,
    drained: Option<Duration>,
) -> Vec<(&'static str, String)> {
    let accepted = || records.iter().filter(|record| record.id.is_some());
    let tasks: usize = accepted().map(|record| record.tasks).sum();
    let count = accepted().count();
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    for record in accepted() {
        *ends
            .entry(record.end.as_deref().unwrap_or("open"))
            .or_default() += 1;
    }
    let mut answers: BTreeMap<&str, usize> = BTreeMap::new();
    for one in records.iter().flat_map(|record| &record.tries) {
        *answers.entry(&one.answer).or_default() += 1;
    }
    let mut reads: BTreeMap<&str, usize> = BTreeMap::new();
    for (answer, count) in records.iter().flat_map(|record| &record.reads) {
        *reads.entry(answer).or_default() += count;
    }
    let faults: usize = inflicted.by_kind.values().sum();
    let kinds = inflicted.by_kind.len();
    let mut figures = vec![
        (
            "requests",
            format!("{count} accepted of {}, {tasks} tasks", records.len()),
        ),
        ("ends", counted(&ends)),
        (
            "faults",
            format!("{faults} of {kinds} kinds: {}", counted(&inflicted.by_kind)),
        ),
        ("answers to submissions", counted(&answers)),
        ("answers to reads", counted(&reads)),
        (
            "until accepted",
            times(accepted().filter_map(|r| Some(r.accepted? - r.began))),
        ),
        (
            "until the end was seen",
            times(accepted().filter_map(|r| Some(r.ended? - r.began))),
        ),
        (
            "drained after healing",
            match drained {
                Some(took) => format!("{:.1} s", took.as_secs_f64()),
                None => "NOT IN TIME".into(),
            },
        ),
    ];
    if inflicted.left_out > 0 {
        figures.push((
            "faults left out, for want of time",
            inflicted.left_out.to_string(),
        ));
    }
    for (kind, why) in &inflicted.not_here {
        figures.push(("not here", format!("{kind}: {why}")));
    }
    for failed in &inflicted.failed {
        figures.push(("a fault not as planned", failed.clone()));
    }
    figures
}

/// Percentiles of some times in seconds.
fn times(times: impl Iterator<Item = f64>) -> String {
    let mut times: Vec<f64> = times.collect();
    times.sort_by(f64::total_cmp);
    let Some(last) = times.last() else {
        return "none".into();
    };
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    format!(
        "p50 {:.2} s, p99 {:.2} s, longest {last:.2} s",
        at(50),
        at(99)
    )
}

fn judge(text: &mut String, checked: &Checked, check: &str, asserted: &str) {
    let count = checked.of(check).count();
    let mark = if count == 0 { "✓" } else { "✗" };
    let found = if count == 0 {
        String::new()
    } else {
        format!(": {count} FOUND")
    };
    let _ = writeln!(text, "{mark} {check:14} {asserted}{found}");
    for finding in checked.of(check).take(SHOWN) {
        let _ = writeln!(text, "    {}: {}", finding.about, finding.text);
    }
    if count > SHOWN {
        let _ = writeln!(text, "    and {} more", count - SHOWN);
    }
}

#[allow(clippy::cast_precision_loss)] // There are some thousands.
fn conclusion(records: &[Record], findings: usize, folder: &Path) -> String {
    let folder = folder.display();
    if findings > 0 {
        return format!("{findings} FINDINGS. Everything is in {folder}.\n");
    }
    let accepted = records.iter().filter(|record| record.id.is_some()).count();
    let bound = RULE_OF_THREE / accepted.max(1) as f64;
    format!(
        "Nothing found in {accepted} requests: with 95 % confidence, fewer than 3/{accepted} = \
         {:.3} % of requests fare worse. Everything is in {folder}.\n",
        bound * 100.0
    )
}

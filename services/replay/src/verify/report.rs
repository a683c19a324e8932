//! What was looked at, and what was found.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use domain::request::RequestId;
use serde::Serialize;
use serde_json::json;

use crate::output::{Paint, count, wrap};

/// The most findings that are told one by one; the others are counted.
const MAX_FINDINGS: usize = 1_000;

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

pub fn counts(report: &Report, seconds: f64) -> serde_json::Value {
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
pub fn told(report: &Report, seconds: f64) -> String {
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

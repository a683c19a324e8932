//! The report of a verification, as JSON and for a terminal.

use std::fmt::Write as _;

use history::verify::Report;
use serde_json::json;

use crate::output::{Paint, count, wrap};

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

#[allow(clippy::cast_precision_loss)] // A rate is for display.
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

//! The result table.

use std::fmt::Write as _;
use std::time::Duration;

use crate::bounds::Measured;
use crate::ordinary::Met;

/// The outcome of one kind.
pub struct Row {
    pub name: String,
    /// The bytes that were sent.
    pub bytes: usize,
    /// The answer, and its delay.
    pub answer: String,
    /// How the request ended.
    pub end: String,
    pub time: Duration,
    pub measured: Measured,
    pub broken: Vec<String>,
}

const HEAD: &str = "| kind | sent | answer | end | time | processor | peak (servers) | ordinary p50 / p99 / max, wrong \
     | healthz max | here | |\n|---|---:|---|---|---:|---:|---:|---|---:|---:|---|\n";

/// All rows as a table in Markdown.
pub fn of(rows: &[Row]) -> String {
    let mut text = String::from(HEAD);
    for row in rows {
        text.push_str(&line(row));
    }
    text
}

/// One row. `here` is the delay of this machine in its own calls.
pub fn line(row: &Row) -> String {
    let measured = &row.measured;
    let late = measured.ordinary.late.max(measured.health.late);
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "| {} | {} | {} | {} | {:.1} s | {:.2} s | {:+.0} ({:+.0}) MiB | {} | {} ms | {} ms | {} |",
        row.name,
        size(row.bytes),
        cell(&row.answer),
        cell(&row.end),
        row.time.as_secs_f64(),
        measured.processor,
        measured.peak_mib,
        measured.servers_mib,
        met(&measured.ordinary),
        measured.health.max.as_millis(),
        late.as_millis(),
        if row.broken.is_empty() {
            "ok".into()
        } else {
            format!("**{}**", cell(&row.broken.join("; ")))
        },
    );
    text
}

#[allow(clippy::cast_precision_loss)] // Sizes here are far below 2^52.
fn size(bytes: usize) -> String {
    if bytes < 100_000 {
        format!("{bytes} B")
    } else {
        format!("{:.1} MB", bytes as f64 / 1e6)
    }
}

fn met(met: &Met) -> String {
    if met.calls == 0 {
        return "–".into();
    }
    let [p50, p99, max] = [met.p50, met.p99, met.max].map(|time| time.as_millis());
    format!("{p50} / {p99} / {max} ms, {}", met.wrong)
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

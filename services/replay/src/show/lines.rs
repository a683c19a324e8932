//! The lines of a timeline.

use std::fmt::Write as _;

use history::timeline::Entry;
use jiff::Timestamp;

use crate::output::{Paint, between, clock, short};
use history::words;

/// How many lines of a timeline are shown, unless the user asks for all.
const TIMELINE_LINES: usize = 40;

pub fn timeline(text: &mut String, entries: &[Entry], all: bool, paint: Paint) {
    let _ = writeln!(text, "\n{}", paint.bold("timeline"));
    let skipped = if all {
        0
    } else {
        entries.len().saturating_sub(TIMELINE_LINES)
    };
    let mut before = None;
    for (number, entry) in entries.iter().enumerate() {
        let since = delta(before, entry.at);
        before = Some(entry.at);
        // The first lines tell the beginning and the last ones the end, so the middle is hidden.
        let hidden = (TIMELINE_LINES / 2..TIMELINE_LINES / 2 + skipped).contains(&number);
        if skipped > 0 && number == TIMELINE_LINES / 2 {
            let _ = writeln!(text, "  … {skipped} lines; --unfolded has all");
        }
        if !hidden {
            let _ = writeln!(text, "{}", entry_line(entry, &since, paint));
        }
    }
}

/// One line of the timeline.
pub fn entry_line(entry: &Entry, since: &str, paint: Paint) -> String {
    let times = if entry.times > 1 {
        format!(" ×{}", entry.times)
    } else {
        String::new()
    };
    let name = format!("{}{times}", entry.name);
    let coloured = match entry.name {
        "task-failed" | "failed" | "group-timed-out" => paint.red(&name),
        "succeeded" | "group-completed" => paint.green(&name),
        _ => name.clone(),
    };
    let pad = " ".repeat(22_usize.saturating_sub(name.chars().count()));
    let room = paint.width.saturating_sub(50).max(30);
    let told = short(&words::entry(&entry.what), room.max(90));
    format!("{:>8} {since:>14}  {coloured}{pad} {told}", entry.sequence)
}

/// The time since the entry before.
pub fn delta(before: Option<Timestamp>, at: Timestamp) -> String {
    before.map_or_else(|| clock(at), |before| format!("+{}", between(before, at)))
}

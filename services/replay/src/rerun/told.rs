//! The outcome of a replay, as JSON and for a terminal.

use std::fmt::Write as _;

use domain::request::Event;
use history::redecide::Divergence;
use history::rerun::Outcome;
use serde_json::json;

use crate::output::{Paint, count, short};

/// The longest event text that a difference shows.
const SHOWN_CHARS: usize = 400;

pub fn as_json(outcome: &Outcome) -> serde_json::Value {
    json!({
        "requests": outcome.requests,
        "commits": outcome.commits,
        "events": outcome.events,
        "tasks": outcome.tasks,
        "executed": outcome.executed,
        "divergence": outcome.divergence.as_ref().map(|d| json!({
            "requestId": d.request,
            "sequence": d.sequence,
            "index": d.index,
            "recorded": d.recorded,
            "decided": d.decided,
            "note": d.note,
        })),
        "others": outcome.others,
    })
}

pub fn told(outcome: &Outcome, program: &str) -> String {
    let paint = Paint::of_stdout();
    let mut text = format!(
        "{}, {}, {}, written by {program}, decided again by {}\n",
        count(outcome.requests as u64, "request"),
        count(outcome.commits as u64, "commit"),
        count(outcome.events as u64, "event"),
        env!("CARGO_PKG_VERSION"),
    );
    if let Some(divergence) = &outcome.divergence {
        text.push_str(&differs(divergence, paint));
    } else {
        let _ = writeln!(text, "{}", paint.green("the same decisions"));
        let tasks = count(outcome.tasks as u64, "task document");
        let _ = writeln!(text, "  {tasks} made again");
    }
    if outcome.executed > 0 {
        let _ = writeln!(
            text,
            "  {} executed again",
            count(outcome.executed as u64, "task")
        );
    }
    for other in &outcome.others {
        let _ = writeln!(text, "{} {other}", paint.red("differs:"));
    }
    text
}

fn differs(divergence: &Divergence, paint: Paint) -> String {
    let event = |event: &Option<Event>| {
        event.as_ref().map_or_else(
            || "nothing".to_owned(),
            |event| {
                short(
                    &serde_json::to_string(event).unwrap_or_default(),
                    SHOWN_CHARS,
                )
            },
        )
    };
    let Divergence {
        request,
        sequence,
        index,
        ..
    } = divergence;
    let mut text = format!(
        "{} at request {request}, commit {sequence}, event {index}\n  then {}\n  now  {}\n",
        paint.red("the first difference"),
        event(&divergence.recorded),
        event(&divergence.decided),
    );
    if let Some(note) = &divergence.note {
        let _ = writeln!(text, "  {note}");
    }
    text
}

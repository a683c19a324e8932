//! Bars: how far groups are, and when they ran.

use jiff::Timestamp;
use maud::{Markup, html};
use projections::{GroupStatus, GroupView};

/// How many groups a small bar shows one by one.
const SEGMENTS_MAX: usize = 12;
/// The units of the width of a bar.
const WIDTH: f64 = 1000.0;
/// The narrowest piece that can still be seen.
const SEEN: f64 = 6.0;

/// The groups of a request as segments of one bar, each as wide as its share of the tasks.
pub fn groups(groups: &[GroupView]) -> Markup {
    let tasks: u32 = groups.iter().map(|group| group.expected).sum();
    let shown = &groups[..groups.len().min(SEGMENTS_MAX)];
    let words = shown.iter().enumerate().map(|(index, group)| {
        let of = format!("group {index}: {} of {}", group.completed, group.expected);
        match group.failed {
            0 => of,
            failed => format!("{of}, {failed} given up"),
        }
    });
    let label = words.collect::<Vec<_>>().join("; ");
    let count = f64::from(u32::try_from(shown.len().max(1)).unwrap_or(1));
    let room = WIDTH - (count - 1.0) * GAP;
    let mut x = 0.0;
    html! {
        svg.bar viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label=(label) {
            @for group in shown {
                @let width = room * share(group.expected, tasks, count);
                (pieces(group, x, width))
                ({ x += width + GAP; "" })
            }
        }
    }
}

/// The space between two segments.
const GAP: f64 = 12.0;

/// The share of a group of all tasks, softened, so that a small group can still be seen.
fn share(expected: u32, tasks: u32, groups: f64) -> f64 {
    let even = 1.0 / groups;
    if tasks == 0 {
        return even;
    }
    0.5 * even + 0.5 * f64::from(expected) / f64::from(tasks)
}

/// How far one group is.
pub fn progress(group: &GroupView) -> Markup {
    let label = format!(
        "{} of {} have their result, {} given up",
        group.completed, group.expected, group.failed
    );
    html! {
        svg.bar viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label=(label) {
            (pieces(group, 0.0, WIDTH))
        }
    }
}

fn pieces(group: &GroupView, x: f64, width: f64) -> Markup {
    let of = |part: u32| match group.expected {
        0 => 0.0,
        _ if part == 0 => 0.0,
        expected => (width * f64::from(part) / f64::from(expected)).max(SEEN),
    };
    let failed = of(group.failed);
    let done = of(group.completed).min(width - failed);
    html! {
        rect.rest x=(round(x)) y="0" width=(round(width)) height="10" {}
        @if group.status == GroupStatus::Running {
            rect.runs x=(round(x)) y="0" width=(round(width)) height="10" {}
        }
        @if done > 0.0 { rect.done x=(round(x)) y="0" width=(round(done)) height="10" {} }
        @if failed > 0.0 { rect.failed x=(round(x + done)) y="0" width=(round(failed)) height="10" {} }
    }
}

/// When a group ran, on the axis of its request.
pub fn span(group: &GroupView, from: Timestamp, to: Timestamp) -> Markup {
    let whole = millis(from, to).max(1.0);
    let Some(started) = group.started_at else {
        return html! { svg.span viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" {} };
    };
    let x = (millis(from, started) / whole * WIDTH).min(WIDTH - SEEN);
    let ended = group.completed_at.unwrap_or(to);
    let width = (millis(started, ended) / whole * WIDTH).clamp(SEEN, WIDTH - x);
    html! {
        svg.span viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" {
            rect data-state=(group.status.as_str()) x=(round(x)) y="1" width=(round(width)) height="8" rx="2" {}
        }
    }
}

fn millis(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64() * 1000.0
}

fn round(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

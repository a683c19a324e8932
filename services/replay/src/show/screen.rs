//! The screen: the cause, a bar per group, the timeline, and what to do next.

use std::fmt::Write as _;

use history::freshness::Freshness;
use history::next;
use history::story::Story;
use history::timeline;
use history::words;
use jiff::Timestamp;
use projections::GroupView;

use super::lines::timeline;
use crate::command::ShowArgs;
use crate::output::{Paint, between, count, short, time, wrap};

/// How many groups are listed one by one.
const GROUP_LINES: usize = 20;
/// The width of a bar.
const BAR: u32 = 20;

pub fn told(story: &Story, freshness: Option<&Freshness>, args: &ShowArgs, paint: Paint) -> String {
    let mut text = String::new();
    head(&mut text, story, paint);
    groups(&mut text, story, paint);
    let entries = timeline::entries(story.events(), !args.unfolded);
    timeline(&mut text, &entries, args.unfolded, paint);
    if let Some(found) = freshness {
        let _ = writeln!(text, "\n{}", paint.bold("freshness"));
        let _ = writeln!(
            text,
            "{}",
            wrap(&words::freshness(found, story), paint.width, "  ")
        );
    }
    if story.later > 0 {
        let _ = writeln!(text, "\n  {}", count(story.later as u64, "later commit"));
    }
    let _ = writeln!(text, "\n{}", paint.bold("next"));
    for step in next::steps(story) {
        let _ = writeln!(text, "  {}", step.command(story.id));
    }
    text
}

fn head(text: &mut String, story: &Story, paint: Paint) {
    let view = &story.view;
    let now = Timestamp::now();
    let lasted = if view.status.is_terminal() {
        format!("after {}", between(view.received_at, story.last_at()))
    } else {
        format!("for {}", between(view.received_at, now))
    };
    let status = paint.status(view.status.as_str());
    let _ = writeln!(
        text,
        "{} {status} {lasted}",
        paint.bold(&format!("request {}", story.id))
    );
    let _ = writeln!(
        text,
        "{}\n",
        wrap(&words::cause(&story.cause(), now), paint.width, "  ")
    );
    let redrives = story
        .state
        .request()
        .map_or(0, |request| request.run.redrives());
    let mut facts = format!(
        "received {} · {} · {}",
        time(view.received_at),
        count(u64::from(view.group_count), "group"),
        count(view.attempts, "attempt"),
    );
    if redrives > 0 {
        let _ = write!(facts, " · {}", count(redrives, "redrive"));
    }
    for (name, value) in &view.metadata {
        let _ = write!(facts, " · {name}={value}");
    }
    if let Some(key) = &view.idempotency_key {
        let _ = write!(facts, " · idempotency key {key}");
    }
    let _ = writeln!(text, "{}", wrap(&facts, paint.width, "  "));
}

fn groups(text: &mut String, story: &Story, paint: Paint) {
    let groups = &story.view.groups;
    if groups.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{}", paint.bold("groups"));
    for (index, group) in groups.iter().enumerate().take(GROUP_LINES) {
        let _ = writeln!(text, "{}", group_line(index, group, story.last_at(), paint));
    }
    if groups.len() > GROUP_LINES {
        let _ = writeln!(text, "  … and {} more", groups.len() - GROUP_LINES);
    }
}

fn group_line(index: usize, group: &GroupView, last: Timestamp, paint: Paint) -> String {
    let share = |part: u32| (part * BAR).checked_div(group.expected).unwrap_or(0);
    let (done, failed) = (share(group.completed), share(group.failed));
    let failed = if group.failed > 0 { failed.max(1) } else { 0 };
    let done = done.min(BAR - failed);
    let of = |times: u32, with: &str| with.repeat(times as usize);
    let bar = format!(
        "{}{}{}",
        paint.green(&of(done, "█")),
        paint.red(&of(failed, "▒")),
        paint.dim(&of(BAR - done - failed, "░"))
    );
    let name = short(group.name.as_deref().unwrap_or("-"), 16);
    let took = group.started_at.map_or_else(String::new, |started| {
        format!(
            " · {}",
            between(started, group.completed_at.unwrap_or(last))
        )
    });
    let given_up = match group.failed {
        0 => String::new(),
        failed => format!(" · {failed} given up"),
    };
    format!(
        "  {index:>3} {name:<16} {bar} {:>5}/{:<5} {}{given_up}{took}",
        group.completed,
        group.expected,
        paint.status(group.status.as_str()),
    )
}

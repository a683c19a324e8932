//! Time travel: the request as it was at an earlier commit, and what the commit changed.

use domain::request::{Event, Sequence};
use history::diff::{Change, changes};
use history::story::{Story, fold};
use history::{timeline, words};
use maud::{Markup, html};
use nats::Commit;

use super::Facts;
use crate::part;
use crate::visit::Visit;

/// How many ticks the track has at most. A tick of a longer log stands for several commits.
const TICKS_MAX: usize = 240;
/// The width of a tick where there is room, in pixels.
const TICK_WIDTH: usize = 12;
/// How many changes of the state are shown.
const CHANGES_MAX: usize = 60;

/// What a visitor of the past must know.
pub fn band(visit: &Visit, facts: &Facts) -> Markup {
    let story = facts.story;
    html! {
        @if visit.fields.get("at").is_some() {
            p.band.then {
                "As it was at " (story.sequence()) ", " (part::ago(story.last_at(), visit.now))
                ". Actions are off. "
                a href=(visit.with("at", None)) { "Back to now" }
            }
        }
    }
}

/// The track with a tick for each commit, the steps, and what the last step changed.
pub fn scrubber(visit: &Visit, facts: &Facts) -> Markup {
    let commits = &facts.whole.commits;
    let here = facts.story.commits.len().saturating_sub(1);
    let is_past = visit.fields.get("at").is_some();
    html! {
        nav.scrubber aria-label="Time travel" {
            (track(visit, commits, here))
            div.steps {
                (step(visit, commits, Some(0), "First", "first"))
                (step(visit, commits, here.checked_sub(1), "◀ Before", "prev"))
                (step(visit, commits, Some(here + 1), "After ▶", "next"))
                (step(visit, commits, next_failure(commits, here), "Next failure", "failure"))
                span.faint { "commit " (here + 1) " of " (commits.len()) ", at " (facts.story.sequence()) }
            }
        }
        @if is_past { (difference(facts.story)) }
    }
}

fn url(visit: &Visit, sequence: Sequence) -> String {
    visit.with("at", Some(&sequence.to_string()))
}

fn step(visit: &Visit, commits: &[Commit], index: Option<usize>, name: &str, rel: &str) -> Markup {
    let commit = index.and_then(|index| commits.get(index));
    html! {
        @match commit {
            Some(commit) => a rel=(rel) href=(url(visit, commit.sequence)) { (name) },
            None => span.off { (name) },
        }
    }
}

/// Whether a commit is good, bad, of a person, the border of a group, or none of these.
fn kind(commit: &Commit) -> &'static str {
    let any = |is: fn(&Event) -> bool| commit.events.iter().any(is);
    if any(|event| {
        matches!(
            event,
            Event::Failed(_) | Event::TaskFailed(_) | Event::GroupTimedOut { .. }
        )
    }) {
        "failed"
    } else if any(|event| {
        matches!(
            event,
            Event::Redriven(_) | Event::Cancelled(_) | Event::Forked(_)
        )
    }) {
        "running"
    } else if any(|event| matches!(event, Event::Succeeded(_) | Event::GroupCompleted { .. })) {
        "succeeded"
    } else {
        "plain"
    }
}

fn next_failure(commits: &[Commit], here: usize) -> Option<usize> {
    let mut later = commits.iter().enumerate().skip(here + 1);
    later
        .find(|(_, commit)| kind(commit) == "failed")
        .map(|(index, _)| index)
}

/// The ticks. Each is a link to the request as it was.
fn track(visit: &Visit, commits: &[Commit], here: usize) -> Markup {
    let each = commits.len().div_ceil(TICKS_MAX).max(1);
    let chunks = commits.chunks(each).enumerate();
    let width = commits.len().div_ceil(each).max(1);
    html! {
        svg.track width=(width * TICK_WIDTH) viewBox=(format!("0 0 {width} 24")) preserveAspectRatio="none" role="group" aria-label="Commits" {
            @for (index, chunk) in chunks {
                @if let Some(last) = chunk.last() {
                    @let worst = ["failed", "running", "succeeded"].into_iter().find(|wanted| chunk.iter().any(|commit| kind(commit) == *wanted));
                    @let is_here = (index * each..index * each + chunk.len()).contains(&here);
                    @let label = format!("at {}: {}", last.sequence, last.events.first().map_or("", Event::name));
                    a href=(url(visit, last.sequence)) aria-label=(label) aria-current=[is_here.then_some("step")] tabindex="-1" {
                        title { (label) }
                        rect.hit x=(index) y="0" width="1" height="24" {}
                        rect data-state=(worst.unwrap_or("plain")) x=(index) y=(if worst.is_some() { "4" } else { "9" }) width="0.7" height=(if worst.is_some() { "16" } else { "6" }) {}
                    }
                }
            }
        }
    }
}

/// What the last commit of a story changed.
fn difference(story: &Story) -> Markup {
    let Some((last, before)) = story.commits.split_last() else {
        return html! {};
    };
    let found: Vec<Change> = changes(&fold(before), &story.state);
    html! {
        section.difference aria-labelledby="difference" {
            h2 #difference { "What this step changed" }
            ul {
                @for entry in timeline::entries(last.recorded(), true) {
                    li { b { (entry.name) @if entry.times > 1 { " ×" (entry.times) } } " " (words::entry(&entry.what)) }
                }
            }
            details open[found.len() <= 12] {
                summary { (words::count(found.len() as u64, "change")) " of the folded state" }
                div.scroll tabindex="0" role="group" aria-label="Changes of the state" {
                    table { tbody { @for change in found.iter().take(CHANGES_MAX) { (row(change)) } } }
                }
                @if found.len() > CHANGES_MAX { p.gap { "… and " (found.len() - CHANGES_MAX) " more." } }
            }
        }
    }
}

fn row(change: &Change) -> Markup {
    let shown = |value: &Option<String>| match value {
        Some(value) => words::short(value, 120),
        None => "–".into(),
    };
    html! {
        tr {
            td { code { (change.path) } }
            td.before { code { (shown(&change.before)) } }
            td { "→" }
            td.wide { code { (shown(&change.after)) } }
        }
    }
}

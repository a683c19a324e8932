//! The story of a request: its events, with similar outcomes of tasks folded into one line.

use history::story::Story;
use history::timeline::{self, Entry, What};
use history::words;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::part;
use crate::urls;

/// How many lines are shown.
const LINES_MAX: usize = 400;

pub fn story(story: &Story) -> Markup {
    let entries = timeline::entries(story.events(), true);
    let skipped = entries.len().saturating_sub(LINES_MAX);
    let mut before: Option<Timestamp> = None;
    html! {
        section aria-labelledby="story" {
            h2.unseen #story { "Story" }
            @if skipped > 0 {
                p.gap { (words::count(skipped as u64, "earlier line")) " left out. "
                    a href=(format!("{}?tab=events", urls::request(story.id))) { "All events" } }
            }
            div.scroll tabindex="0" role="group" aria-label="Story" {
                table.story {
                    thead { tr {
                        th.number scope="col" { "Log" }
                        th scope="col" { "Time" }
                        th.number scope="col" { "After" }
                        th scope="col" { "What" }
                        th.wide scope="col" { "In words" }
                    } }
                    tbody {
                        @for entry in entries.iter().skip(skipped) {
                            (line(story, entry, before.replace(entry.at)))
                        }
                    }
                }
            }
        }
    }
}

fn line(story: &Story, entry: &Entry, before: Option<Timestamp>) -> Markup {
    html! {
        tr data-kind=(kind(entry)) {
            td.number { a href=(urls::event(story.id, entry.sequence)) { (entry.sequence) } }
            td { (part::clock(entry.at)) }
            td.number.faint { @if let Some(before) = before { "+" (words::between(before, entry.at)) } }
            td.what { (entry.name) @if entry.times > 1 { b { " ×" (entry.times) } } }
            td.wide { (words::entry(&entry.what)) (causes(entry)) }
        }
    }
}

fn causes(entry: &Entry) -> Markup {
    html! {
        @if let What::Outcomes(outcomes) = &entry.what {
            @if outcomes.tasks.len() == 1 && outcomes.failure.is_some() {
                @if let Some(task) = outcomes.tasks.first() { span.faint { " · task " (outcomes.group) "." (task) } }
            }
        }
    }
}

/// Whether a line is good, bad or neither.
fn kind(entry: &Entry) -> &'static str {
    match entry.name {
        "task-failed" | "failed" | "group-timed-out" => "bad",
        "succeeded" | "group-completed" | "task-succeeded" => "good",
        "cancelled" | "redriven" | "forked" => "person",
        _ => "plain",
    }
}

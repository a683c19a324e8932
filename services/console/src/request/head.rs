//! The head of a request: its state, what is known about it, and how fresh that is.

use domain::request::Event;
use history::story::Story;
use history::words;
use maud::{Markup, html};

use super::Facts;
use super::actions::actions;
use crate::part;
use crate::visit::Visit;

pub fn head(visit: &Visit, facts: &Facts) -> Markup {
    let story = facts.story;
    let view = &story.view;
    let ended = view.status.is_terminal();
    let last = if ended {
        story.last_at()
    } else {
        facts.present(visit)
    };
    let redrives = story
        .state
        .request()
        .map_or(0, |request| request.run.redrives());
    html! {
        header.request-head {
            div.title {
                h1 { (part::status(view.status.plain())) " " span.whole-id { (story.id) } }
                (actions(visit, facts))
            }
            dl.facts {
                div { dt { "received" } dd { (part::time(view.received_at)) " (" (part::ago(view.received_at, visit.now)) ")" } }
                div { dt { @if ended { "took" } @else { "runs for" } } dd { (words::between(view.received_at, last)) } }
                div { dt { "attempts" } dd { (view.attempts) } }
                @if redrives > 0 { div { dt { "redrives" } dd { (redrives) } } }
                @if let Some(submitter) = &view.submitter { div { dt { "submitted by" } dd { (submitter) } } }
                @if let Some(key) = &view.idempotency_key { div { dt { "idempotency key" } dd { code { (key) } } } }
                @if let Some(trace) = trace(story) { div { dt { "trace" } dd { code { (trace) } } } }
                (lineage(story))
            }
            @if !view.metadata.is_empty() {
                p.labels { (part::labels(view.metadata.iter())) }
            }
            (freshness(facts))
        }
    }
}

/// The id of the caller's trace.
fn trace(story: &Story) -> Option<String> {
    let traceparent = story.state.request()?.traceparent.as_ref()?;
    traceparent.to_string().split('-').nth(1).map(str::to_owned)
}

/// The request that this one was forked from.
fn lineage(story: &Story) -> Markup {
    let forked = story.events().find_map(|recorded| match recorded.event {
        Event::Forked(forked) => Some(forked),
        _ => None,
    });
    html! {
        @if let Some(forked) = forked {
            div { dt { "fork of" } dd { (part::id(forked.from)) " at " (forked.sequence) } }
        }
    }
}

/// How fresh the page is, and from what it is.
fn freshness(facts: &Facts) -> Markup {
    html! {
        p.fresh {
            @match facts.freshness {
                Some(freshness) => { "Freshness: " (words::freshness(freshness, facts.story)) "." }
                None if facts.story.later > 0 => { "Read from the log, up to " (facts.story.sequence()) "." }
                None => { "Read from the bundle, at " (facts.story.sequence()) "." }
            }
        }
    }
}

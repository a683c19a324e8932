//! The events of a request as they are stored.

use domain::request::{Event, Received, Recorded, Sequence};
use history::story::Story;
use history::words;
use maud::{Markup, html};

use crate::part;
use crate::visit::Visit;

/// How many events a page has.
const PAGE: usize = 200;
/// How much of an event is shown, in characters.
const EVENT_MAX_CHARS: usize = 64 * 1024;

pub fn events(visit: &Visit, story: &Story) -> Markup {
    let chosen: Option<Sequence> = visit.fields.get("event").and_then(|text| text.parse().ok());
    let after: Option<Sequence> = visit.fields.get("after").and_then(|text| text.parse().ok());
    // A page with the chosen event begins shortly before it.
    let begins = after.map(Sequence::next).or(chosen);
    let mut events = story
        .borrowed()
        .filter(|recorded| begins.is_none_or(|begins| recorded.sequence >= begins));
    let shown: Vec<Recorded<&Event>> = events.by_ref().take(PAGE).collect();
    let more = events.next().is_some();
    let next = shown.last().filter(|_| more).map(|last| last.sequence);
    html! {
        section aria-labelledby="events" {
            h2.unseen #events { "Events" }
            @if begins.is_some() {
                p.gap { a href=(format!("{}?tab=events", visit.uri.path())) { "From the first event" } }
            }
            div.split {
                ol.events {
                    @for recorded in &shown { (line(visit, recorded, chosen)) }
                }
                (raw(&shown, chosen))
            }
            @if let Some(next) = next {
                @let next = visit.fields.with("event", None).with("after", Some(&next.to_string()));
                a.more rel="next" href=(format!("{}{}", visit.uri.path(), next.query())) { "Later events" }
            }
        }
    }
}

fn line(visit: &Visit, recorded: &Recorded<&Event>, chosen: Option<Sequence>) -> Markup {
    let sequence = recorded.sequence;
    let here = chosen == Some(sequence);
    let fields = visit.fields.with("event", Some(&sequence.to_string()));
    let anchor = (recorded.index == 0).then(|| format!("e{sequence}"));
    html! {
        li id=[anchor] aria-current=[here.then_some("true")] {
            a href=(format!("{}{}#e{sequence}", visit.uri.path(), fields.query())) {
                span.number { (sequence) @if recorded.index > 0 { span.faint { "." (recorded.index) } } }
                " " (part::clock(recorded.at)) " " b { (recorded.event.name()) }
            }
        }
    }
}

/// The events of the chosen commit, as JSON.
fn raw(shown: &[Recorded<&Event>], chosen: Option<Sequence>) -> Markup {
    let of_commit = shown
        .iter()
        .filter(|recorded| Some(recorded.sequence) == chosen);
    html! {
        div.raw {
            @if chosen.is_none() { (part::nothing("Choose an event to see it as it is stored.")) }
            @for recorded in of_commit {
                @let json = json(recorded.event);
                h3 { (recorded.event.name()) " at " (recorded.sequence) "." (recorded.index) ", " (words::time(recorded.at)) }
                pre tabindex="0" { (cut(&json)) }
            }
        }
    }
}

/// An event as JSON, without the metadata that only the sender of webhooks needs.
fn json(event: &Event) -> String {
    let told = match event {
        Event::Received(received) => {
            let told = received.told_metadata();
            let metadata = told.map(|(name, value)| (name.clone(), value.clone()));
            Event::Received(Box::new(Received {
                metadata: metadata.collect(),
                ..(**received).clone()
            }))
        }
        event => event.clone(),
    };
    serde_json::to_string_pretty(&told).unwrap_or_default()
}

fn cut(json: &str) -> String {
    let mut text: String = json.chars().take(EVENT_MAX_CHARS).collect();
    if text.len() < json.len() {
        text.push_str("\n… the rest is in `fanfold replay tail`");
    }
    text
}

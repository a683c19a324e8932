//! The groups of a request, on one axis of time.

use history::story::Story;
use history::words;
use jiff::Timestamp;
use maud::{Markup, html};
use projections::GroupView;

use crate::part::{self, bar};

/// How many groups are listed one by one.
const GROUPS_MAX: usize = 200;

pub fn groups(story: &Story, now: Timestamp) -> Markup {
    let view = &story.view;
    let to = if view.status.is_terminal() {
        story.last_at()
    } else {
        now
    };
    let from = view.received_at;
    html! {
        section.groups-of aria-labelledby="groups" {
            h2 #groups { "Groups" }
            @if view.groups.is_empty() {
                (part::nothing("No group is known yet: the orchestrator has not read the document."))
            } @else {
                div.scroll tabindex="0" role="group" aria-label="Groups" {
                    table.groups {
                        thead { tr {
                            th.number scope="col" { "#" }
                            th scope="col" { "Group" }
                            th scope="col" { "State" }
                            th scope="col" { "Results" }
                            th.number scope="col" { "Done" }
                            th.number scope="col" { "Given up" }
                            th.axis scope="col" {
                                span.from { "0" } span.to { (words::between(from, to)) }
                            }
                            th.number scope="col" { "Took" }
                        } }
                        tbody {
                            @for (index, group) in view.groups.iter().enumerate().take(GROUPS_MAX) {
                                (row(story, index, group, from, to))
                            }
                        }
                    }
                }
                @if view.groups.len() > GROUPS_MAX {
                    p.gap { "… and " (view.groups.len() - GROUPS_MAX) " more groups." }
                }
            }
        }
    }
}

fn row(story: &Story, index: usize, group: &GroupView, from: Timestamp, to: Timestamp) -> Markup {
    let url = format!("{}/groups/{index}", crate::urls::request(story.id));
    html! {
        tr {
            td.number { (index) }
            td.name {
                @let name = html! { @match &group.name { Some(name) => (name), None => span.faint { "without a name" } } };
                @if group.started_at.is_some() { a href=(url) { (name) } } @else { (name) }
            }
            td { (part::state(group.status.as_str())) }
            td.progress { (bar::progress(group)) }
            td.number { (group.completed) span.faint { "/" (group.expected) } }
            td.number { @if group.failed > 0 { b.bad { (group.failed) } } @else { span.faint { "0" } } }
            td.axis { (bar::span(group, from, to)) }
            td.number {
                @match group.started_at {
                    Some(started) => (words::between(started, group.completed_at.unwrap_or(to))),
                    None => span.faint { "–" },
                }
            }
        }
    }
}

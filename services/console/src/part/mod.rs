//! The parts that several pages use.

pub mod bar;
pub mod icon;
pub mod plot;
pub mod png;
pub mod text;
pub mod xml;

use domain::access::Action;
use domain::request::{RequestId, Status};
use history::words;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::urls;
use crate::visit::Visit;

/// A status: a shape, a word and a color.
pub fn status(status: Status) -> Markup {
    state(status.as_str())
}

/// A status by its word.
pub fn state(word: &str) -> Markup {
    html! { span.state data-state=(word) { (icon::state(word)) (word) } }
}

/// The shape and the color of one state, with other words.
pub fn state_as(state: &str, word: &str) -> Markup {
    html! { span.state data-state=(state) { (icon::state(state)) (word) } }
}

/// A time, to the millisecond.
pub fn time(at: Timestamp) -> Markup {
    html! { time datetime=(at) data-form="time" { (words::time(at)) } }
}

/// A time of day, to the millisecond.
pub fn clock(at: Timestamp) -> Markup {
    html! { time datetime=(at) data-form="clock" { (words::clock(at)) } }
}

/// How long ago a time is, and the time itself for a pointer.
pub fn ago(at: Timestamp, now: Timestamp) -> Markup {
    html! {
        time datetime=(at) data-form="ago" title=(words::time(at)) { (words::between(at, now)) " ago" }
    }
}

/// The id of a request as a link. Only the end tells requests of one hour apart.
pub fn id(id: RequestId) -> Markup {
    let text = id.to_string();
    let (head, tail) = text.split_at_checked(24).unwrap_or(("", &text));
    html! {
        a.id href=(urls::request(id)) { span.head { (head) } span.tail { (tail) } }
    }
}

/// Labels of a request, each as a link to the requests that have it.
pub fn labels<'a>(labels: impl Iterator<Item = (&'a String, &'a String)>) -> Markup {
    html! {
        @for (name, value) in labels {
            a.label href=(urls::filtered(&format!("label:\"{name}={value}\""))) {
                span { (name) } " " (value)
            }
            " "
        }
    }
}

/// What a page follows: `all`, or `request:ID`.
pub fn topic(topic: &str) -> Markup {
    html! { div hidden data-topic=(topic) {} }
}

/// The tenants of a visitor, who sees one at a time, each as a link. Nothing for visitors who need
/// not choose.
pub fn tenants(visit: &Visit, action: Action) -> Markup {
    let here = visit.tenant(action).ok().flatten();
    let url = |name: Option<&str>| {
        let fields = visit.fields.with("after", None).with("tenant", name);
        format!("{}{}", visit.uri.path(), fields.query())
    };
    let choices = visit.choices(action);
    html! {
        @if choices.len() > 1 {
            nav.chips aria-label="Tenant" {
                @for tenant in choices {
                    a href=(url(Some(tenant.as_str()))) aria-current=[(here.as_ref() == Some(tenant)).then_some("true")] { (tenant) }
                }
            }
        } @else if let Some(name) = visit.fields.get("tenant") {
            nav.chips aria-label="Tenant" {
                a href=(url(None)) aria-label="Drop the filter tenant" { "tenant: " (name) " ✕" }
            }
        }
    }
}

/// A piece of text in a form that says that there is nothing.
pub fn nothing(text: &str) -> Markup {
    html! { p.nothing { (text) } }
}

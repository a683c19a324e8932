//! The parts that several pages use.

pub mod bar;
pub mod icon;
pub mod plot;
pub mod png;
pub mod text;
pub mod xml;

use domain::request::{RequestId, Status};
use history::words;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::urls;

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

/// A piece of text in a form that says that there is nothing.
pub fn nothing(text: &str) -> Markup {
    html! { p.nothing { (text) } }
}

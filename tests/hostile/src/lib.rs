//! Submissions that cost: a table of generators, one for each kind of cost. `make hostile` sends
//! each to the real program; tests may take any of them.

mod kinds;

use std::fmt::Write as _;

pub use kinds::KINDS;

/// What the URIs of the kinds with `href` begin with: whoever sends such a document puts a place
/// there that its program may fetch from, and [`REMOTE`] into it.
pub const HREFS: &str = "file:///hrefs.invalid/";
/// The name of the document that such a URI brings.
pub const REMOTE: &str = "large.xml";

/// A kind of cost.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// What it costs, as a sentence.
    pub about: &'static str,
    /// Makes the body of its submission: always the same bytes.
    pub body: fn() -> Vec<u8>,
    /// The headers that the submission has besides its media type and length.
    pub headers: &'static [(&'static str, &'static str)],
}

impl Kind {
    const fn new(name: &'static str, about: &'static str, body: fn() -> Vec<u8>) -> Self {
        Self {
            name,
            about,
            body,
            headers: &[],
        }
    }

    const fn with(mut self, headers: &'static [(&'static str, &'static str)]) -> Self {
        self.headers = headers;
        self
    }
}

/// What [`REMOTE`] holds: a market of a thousand quotes, 0.1 MB of it, and a text of 1 MB.
#[must_use]
pub fn remote() -> Vec<u8> {
    let quotes = each(1_000, |n| {
        format!("<quote name='q{n}'><bid>{n}</bid><ask>{n}</ask></quote>")
    });
    let text = "t".repeat(1_000_000);
    project(
        &format!("<market name='m'>{quotes}<text>{text}</text></market>"),
        "",
    )
}

/// A request document.
fn project(definitions: &str, groups: &str) -> Vec<u8> {
    format!("<vnml><project>{definitions}{groups}</project></vnml>").into_bytes()
}

/// A request document with one group.
fn grouped(definitions: &str, valuations: &str) -> Vec<u8> {
    project(
        definitions,
        &format!("<group name='g'>{valuations}</group>"),
    )
}

/// A request document with one valuation, which selects.
fn selecting(definitions: &str, expression: &str) -> Vec<u8> {
    let valuation = format!("<valuation name='v'><p select=\"{expression}\"/></valuation>");
    grouped(definitions, &valuation)
}

/// A request document whose valuation selects an element where a condition holds, which is
/// evaluated once.
fn condition(definitions: &str, condition: &str) -> Vec<u8> {
    let expression = format!("/vnml/project/m[{condition}]");
    selecting(&format!("<m/>{definitions}"), &expression)
}

/// One piece after the other.
fn each(count: usize, piece: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut all, n| {
        // Writing to a String cannot fail.
        let _ = write!(all, "{}", piece(n));
        all
    })
}

/// So many attributes.
fn attributes(prefix: &str, count: usize) -> String {
    each(count, |n| format!(" {prefix}{n}='v'"))
}

/// An element around another, so many times.
fn nested(depth: usize, start: &str, inner: &str, end: &str) -> String {
    format!("{}{inner}{}", start.repeat(depth), end.repeat(depth))
}

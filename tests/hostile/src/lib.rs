//! Costly submissions: a table of generators, one for each kind of cost. `make hostile` sends each
//! to the real program, and tests may use any of them.

mod kinds;

use std::fmt::Write as _;

pub use kinds::KINDS;

/// The prefix of the URIs in the kinds with `href`. The sender of such a document replaces it with
/// a location that the program may fetch from, and puts [`REMOTE`] there.
pub const HREFS: &str = "file:///hrefs.invalid/";
/// The name of the document behind such a URI.
pub const REMOTE: &str = "large.xml";

/// A kind of cost.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// The cost, as a sentence.
    pub about: &'static str,
    /// Makes the body of the submission: always the same bytes.
    pub body: fn() -> Vec<u8>,
    /// The headers of the submission, besides media type and length.
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

/// The content of [`REMOTE`]: a market of a thousand quotes, 0.1 MB of it, and a text of 1 MB.
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

/// A request document with one valuation, which has a `select`.
fn selecting(definitions: &str, expression: &str) -> Vec<u8> {
    let valuation = format!("<valuation name='v'><p select=\"{expression}\"/></valuation>");
    grouped(definitions, &valuation)
}

/// A request document whose valuation selects an element under a condition. The condition is
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

/// This many attributes.
fn attributes(prefix: &str, count: usize) -> String {
    each(count, |n| format!(" {prefix}{n}='v'"))
}

/// An element nested in others to this depth.
fn nested(depth: usize, start: &str, inner: &str, end: &str) -> String {
    format!("{}{inner}{}", start.repeat(depth), end.repeat(depth))
}

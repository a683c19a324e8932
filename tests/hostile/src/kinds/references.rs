//! Documents that refer to others.

use crate::{HREFS, Kind, REMOTE, each, grouped};

pub const KINDS: &[Kind] = &[
    Kind::new(
        "many-hrefs",
        "5,000 references to documents that are not there.",
        || {
            grouped(
                &each(5_000, |n| {
                    format!("<market name='m{n}' href='{HREFS}{n}.xml'/>")
                }),
                "<valuation/>",
            )
        },
    ),
    Kind::new(
        "long-hrefs",
        "90 references of 100 KB each: 9 MB of URIs for the events to tell.",
        || {
            grouped(
                &each(90, |n| {
                    format!("<market href='{HREFS}{}{n}.xml'/>", "u".repeat(100_000))
                }),
                "<valuation/>",
            )
        },
    ),
    Kind::new(
        "large-href-for-each",
        "1 MB that one reference brings, merged for each of 2,000 valuations.",
        || {
            grouped(
                "",
                &format!("<valuation><market name='m' href='{HREFS}{REMOTE}'/></valuation>")
                    .repeat(2_000),
            )
        },
    ),
    Kind::new(
        "href-then-select",
        "1 MB that one reference brings, selected by each of 2,000 valuations.",
        || {
            grouped(
                &format!("<market name='m' href='{HREFS}{REMOTE}'/>"),
                &"<valuation><p select='/vnml/project/market'/></valuation>".repeat(2_000),
            )
        },
    ),
    Kind::new(
        "href-by-quote",
        "The counterpart of each of 1,000 quotes looked for in 1 MB, through 1,000 references.",
        || {
            grouped(
                &format!(
                    "<market name='m'>{}</market>",
                    each(1_000, |n| {
                        format!("<quote name='q{n}' href='{HREFS}{REMOTE}'/>")
                    })
                ),
                &"<valuation><p select='/vnml/project/market'/></valuation>".repeat(100),
            )
        },
    ),
    Kind::new(
        "href-beside-large-frames",
        "A reference in each of 10 valuations beside 8 MB, so that all of it is looked at in the call.",
        || {
            grouped(
                &format!("<note>{}</note>", "<n/>".repeat(1_900_000)),
                &format!("<valuation><market name='m' href='{HREFS}{REMOTE}'/></valuation>")
                    .repeat(10),
            )
        },
    ),
];

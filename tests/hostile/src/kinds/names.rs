//! Names and namespaces.

use crate::{Kind, attributes, each, grouped, nested, project};

pub const KINDS: &[Kind] = &[
    Kind::new(
        "prefixes-at-every-level",
        "120 prefixes declared anew at each of 100 levels, ten times.",
        || {
            let start = format!("<d{}>", prefixes(120));
            grouped(
                &nested(100, &start, "<p0:e/>", "</d>").repeat(10),
                "<valuation/>",
            )
        },
    ),
    Kind::new(
        "prefixes-on-each-selected",
        "127 prefixes in scope of 2,000 children, which are selected for each of 50 valuations.",
        || {
            let definitions = format!(
                "<n{}>{}</n>",
                prefixes(127),
                each(2_000, |n| format!("<c name='{n}'/>"))
            );
            let selects = each(2_000, |n| {
                format!("<c select=\"/vnml/project/n/c[{}]\"/>", n + 1)
            });
            grouped(
                &format!("{definitions}<k>{selects}</k>"),
                &"<valuation><k select='/vnml/project/k'/></valuation>".repeat(50),
            )
        },
    ),
    Kind::new(
        "prefixes-that-meet",
        "80 prefixes laid over 80 others: each accepted, too many together.",
        || {
            grouped(
                &format!("<n{}/>", prefixes(80)),
                &format!(
                    "<valuation><p{} select='/vnml/project/n'/></valuation>",
                    each(80, |n| format!(" xmlns:q{n}='urn:q{n}'"))
                ),
            )
        },
    ),
    Kind::new(
        "prefixes-in-turn",
        "300,000 elements, each of which binds the same prefix to another name.",
        || {
            project(
                &each(150_000, |n| {
                    format!("<q:e xmlns:q='urn:{n}'/><e xmlns='urn:{n}'/>")
                }),
                "",
            )
        },
    ),
    Kind::new(
        "distinct-names",
        "700,000 elements, no two of one name.",
        || {
            project(
                &each(700_000, |n| format!("<n{n}/>")),
                "<group><valuation/></group>",
            )
        },
    ),
    Kind::new(
        "distinct-attributes",
        "100 elements with 9,900 attributes each, for the canonical form to put in order.",
        || {
            project(
                &format!("<e{}/>", attributes("a", 9_900)).repeat(90),
                "<group><valuation/></group>",
            )
        },
    )
    .with(&[("idempotency-key", "distinct-attributes")]),
    Kind::new(
        "prefixed-attributes",
        "9,000 attributes in 100 namespaces, for whoever compares each with each.",
        || {
            let all = each(9_000, |n| format!(" p{}:a{n}='v'", n % 100));
            project(
                &format!("<e{}{all}/>", prefixes(100)).repeat(20),
                "<group><valuation/></group>",
            )
        },
    ),
    Kind::new(
        "long-names",
        "5,000 elements with names of 1,000 bytes.",
        || {
            project(
                &format!("<{}/>", "n".repeat(1_000)).repeat(5_000),
                "<group><valuation/></group>",
            )
        },
    ),
    Kind::new("name-too-long", "An element with a name of 5 MB.", || {
        project(&format!("<{}/>", "n".repeat(5_000_000)), "")
    }),
];

fn prefixes(count: usize) -> String {
    each(count, |n| format!(" xmlns:p{n}='urn:p{n}'"))
}

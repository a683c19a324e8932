//! Elements merged with each other, and the content that merging makes.

use crate::{Kind, attributes, each, grouped, nested};

pub const KINDS: &[Kind] = &[
    Kind::new(
        "attributes",
        "20 merges of 9,900 attributes with 9,900 others (X5).",
        || {
            let one = format!(
                "<valuation><m select='/vnml/project/m'{}/></valuation>",
                attributes("b", 9_900)
            );
            grouped(&format!("<m{}/>", attributes("a", 9_900)), &one.repeat(20))
        },
    ),
    Kind::new(
        "attributes-once",
        "One such merge, for each of 20,000 valuations of 60 bytes (X5).",
        || {
            let definitions = format!(
                "<m{}/><n><o select='/vnml/project/m'{}/></n>",
                attributes("a", 9_900),
                attributes("b", 9_900)
            );
            grouped(
                &definitions,
                &"<valuation><n select='/vnml/project/n'/></valuation>".repeat(20_000),
            )
        },
    ),
    Kind::new(
        "doubling",
        "131,000 nodes out of 16 definitions, for each of 2,000 valuations (X5).",
        || {
            grouped(
                &format!("{}<m name='16'/>", each(16, |n| linked(n, 2))),
                &"<valuation><m select=\"/vnml/project/m[@name='0']\"/></valuation>".repeat(2_000),
            )
        },
    ),
    Kind::new(
        "wide-chain",
        "64 links, each 30 wide: 30 to the 64th nodes.",
        || {
            grouped(
                &format!("{}<m name='63'/>", each(63, |n| linked(n, 30))),
                "<valuation><m select=\"/vnml/project/m[@name='0']\"/></valuation>",
            )
        },
    ),
    Kind::new(
        "long-chain-of-links",
        "3,000 definitions, each of which selects the next.",
        || {
            grouped(
                &format!("{}<m name='3000'/>", each(3_000, |n| linked(n, 1))),
                "<valuation><m select=\"/vnml/project/m[@name='0']\"/></valuation>",
            )
        },
    ),
    Kind::new(
        "children-by-name",
        "50,000 named children merged with 50,000 in reverse order.",
        || {
            children(
                |n| format!("<c name='n{n}'/>"),
                |n| format!("<c name='n{}'/>", 49_999 - n),
            )
        },
    ),
    Kind::new(
        "children-by-id",
        "50,000 children with ids and other names, merged with 50,000 in reverse order.",
        || {
            children(
                |n| format!("<c name='a{n}' id='{n}'/>"),
                |n| format!("<c name='b{n}' id='{}'/>", 49_999 - n),
            )
        },
    ),
    Kind::new(
        "children-of-one-name",
        "50,000 children with one name and one id, merged with 50,000 that share them.",
        || {
            children(
                |_| "<c name='n' id='1'/>".into(),
                |_| "<c name='n' id='1'/>".into(),
            )
        },
    ),
    Kind::new(
        "children-in-turn",
        "50,000 nameless children merged with 50,000, first with first.",
        || children(|_| "<c/>".into(), |_| "<c/>".into()),
    ),
    Kind::new(
        "deep-merge",
        "A definition 100 deep and 50 wide merged at every depth, for each of 500 valuations.",
        || {
            let start = format!("<d>{}", each(50, |n| format!("<e name='e{n}'/>")));
            let deep = nested(100, &start, "", "</d>");
            let one = format!(
                "<valuation><m select='/vnml/project/m'>{}</m></valuation>",
                nested(100, "<d>", "", "</d>")
            );
            grouped(&format!("<m>{deep}</m>"), &one.repeat(500))
        },
    ),
    Kind::new(
        "too-deep-when-made",
        "A definition of 125 levels, selected below 20 levels: each accepted, both too deep together.",
        || {
            grouped(
                &format!("<m>{}</m>", nested(123, "<d>", "", "</d>")),
                &format!(
                    "<valuation>{}</valuation>",
                    nested(20, "<s>", "<p select='/vnml/project/m'/>", "</s>")
                ),
            )
        },
    ),
    Kind::new(
        "too-wide-when-made",
        "6,000 attributes laid over 6,000 others: each accepted, too many together.",
        || {
            grouped(
                &format!("<m{}/>", attributes("a", 6_000)),
                &format!(
                    "<valuation><p select='/vnml/project/m'{}/></valuation>",
                    attributes("b", 6_000)
                ),
            )
        },
    ),
    Kind::new(
        "text-among-comments",
        "A text in 100,000 pieces between comments, merged for each of 100 valuations.",
        || {
            grouped(
                &format!("<m>{}</m>", "t<!---->".repeat(100_000)),
                &"<valuation><m select='/vnml/project/m'>1<!---->2</m></valuation>".repeat(100),
            )
        },
    ),
    Kind::new(
        "large-for-each",
        "A definition of 1 MB for each of 10,000 valuations: 10 GB of tasks.",
        || {
            grouped(
                &format!("<m>{}</m>", "t".repeat(1_000_000)),
                &"<valuation><m select='/vnml/project/m'/></valuation>".repeat(10_000),
            )
        },
    ),
    Kind::new(
        "shared-for-each",
        "5 MB that every task document has, for each of 100,000 valuations: 500 GB of tasks.",
        || {
            grouped(
                &format!("<note>{}</note>", "n".repeat(5_000_000)),
                &"<valuation/>".repeat(100_000),
            )
        },
    ),
];

/// A definition whose children select the next one.
fn linked(number: usize, width: usize) -> String {
    let next = number + 1;
    let children = each(width, |n| {
        format!("<c{n} select=\"/vnml/project/m[@name='{next}']\"/>")
    });
    format!("<m name='{number}'>{children}</m>")
}

/// A merge of 50,000 children with 50,000 others.
fn children(local: fn(usize) -> String, other: fn(usize) -> String) -> Vec<u8> {
    let valuation = format!(
        "<valuation><m select='/vnml/project/m'>{}</m></valuation>",
        each(50_000, local)
    );
    grouped(&format!("<m>{}</m>", each(50_000, other)), &valuation)
}

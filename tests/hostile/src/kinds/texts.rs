//! Documents that are hard to read.

use crate::{Kind, attributes, each, grouped, nested, project};

const VALUED: &str = "<group><valuation/></group>";

pub const KINDS: &[Kind] = &[
    Kind::new("comments", "A million comments.", || {
        project(&"<!---->".repeat(1_000_000), VALUED)
    }),
    Kind::new(
        "instructions",
        "A million processing instructions, which every task document has.",
        || {
            project(
                &"<?p d?>".repeat(1_000_000),
                &format!("<group>{}</group>", "<valuation/>".repeat(100)),
            )
        },
    ),
    Kind::new("cdata", "500,000 CDATA sections in one text.", || {
        project(
            &format!("<t>{}</t>", "<![CDATA[]]>x".repeat(500_000)),
            VALUED,
        )
    })
    .with(&[("idempotency-key", "cdata")]),
    Kind::new(
        "references",
        "A text of 10 MB of character references.",
        || project(&format!("<t>{}</t>", "&amp;".repeat(2_000_000)), VALUED),
    ),
    Kind::new(
        "references-made-long",
        "A text of 9 MB of characters that are written as references.",
        || project(&format!("<t>{}</t>", "&#38;>]\r".repeat(1_100_000)), VALUED),
    )
    .with(&[("idempotency-key", "references-made-long")]),
    Kind::new(
        "texts-and-elements",
        "1.9 million nodes, by turns texts and elements.",
        || project(&format!("<t>{}</t>", "x<a/>".repeat(949_000)), VALUED),
    ),
    Kind::new("too-many-nodes", "2.1 million nodes.", || {
        project(&"<a/>".repeat(2_100_000), VALUED)
    }),
    Kind::new("too-deep", "A million levels of nesting.", || {
        project(&nested(900_000, "<d>", "", "</d>"), VALUED)
    }),
    Kind::new(
        "deepest",
        "10,000 times the deepest nesting there may be.",
        || project(&nested(125, "<d>", "", "</d>").repeat(9_000), VALUED),
    ),
    Kind::new(
        "too-many-attributes",
        "An element with 500,000 attributes.",
        || project(&format!("<e{}/>", attributes("a", 500_000)), VALUED),
    ),
    Kind::new(
        "same-attribute",
        "An element with one attribute 500,000 times.",
        || project(&format!("<e{}/>", " a='v'".repeat(500_000)), VALUED),
    ),
    Kind::new(
        "long-attribute",
        "An attribute of 9 MB of line ends, each of which is to be a blank.",
        || project(&format!("<e a='{}'/>", "\r\n".repeat(4_500_000)), VALUED),
    ),
    Kind::new("utf-16", "9 MB in UTF-16.", || {
        let text = format!(
            "<vnml><project><t>{}</t>{VALUED}</project></vnml>",
            "x".repeat(4_500_000)
        );
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect()
    }),
    Kind::new(
        "never-closed",
        "A tag that is never closed, 9 MB long.",
        || format!("<vnml><project><e {}", "a ".repeat(4_500_000)).into_bytes(),
    ),
    Kind::new(
        "closed-wrongly",
        "9 MB that are well-formed but for the last tag.",
        || format!("<vnml><project>{}</projekt>", "<a>x</a>".repeat(600_000)).into_bytes(),
    ),
    Kind::new(
        "doctype",
        "Ten entities, each of which is ten of the one before.",
        || {
            let entities = each(10, |n| {
                format!("<!ENTITY e{} '{}'>", n + 1, format!("&e{n};").repeat(10))
            });
            format!(
                "<!DOCTYPE v [<!ENTITY e0 'x'>{entities}]><vnml><project>&e10;</project></vnml>"
            )
            .into_bytes()
        },
    ),
    Kind::new(
        "white-space",
        "9 MB of white space between the elements, which every task document has.",
        || grouped(&" \n".repeat(4_500_000), &"<valuation/>".repeat(1_000)),
    ),
];

//! Expressions that walk far, and large node sets.

use crate::{Kind, attributes, condition, each, nested, project};

pub const KINDS: &[Kind] = &[
    Kind::new(
        "following-of-each",
        "Everything that follows each of 20,000 elements.",
        || {
            condition(
                &"<x/>".repeat(20_000),
                "count(//x[count(following::x)=1])=1",
            )
        },
    ),
    Kind::new(
        "preceding-of-each",
        "Everything that precedes each of 20,000 elements, in reverse order.",
        || condition(&"<x/>".repeat(20_000), "//x[preceding::x[last()]='q']"),
    ),
    Kind::new(
        "siblings-of-each",
        "Every sibling on either side of each of 20,000 elements.",
        || {
            condition(
                &"<x/>".repeat(20_000),
                "count(//x/preceding-sibling::x/following-sibling::x)=1",
            )
        },
    ),
    Kind::new(
        "ancestors-of-each",
        "Up from each of 50,000 elements 100 deep, and down again.",
        || {
            condition(
                &nested(100, "<d>", &"<e/>".repeat(50_000), "</d>"),
                "count(//e/ancestor::d/descendant::e)=1",
            )
        },
    ),
    Kind::new(
        "everything-of-everything",
        "Ten times everything below everything.",
        || {
            condition(
                &nested(100, "<d>", &"<e/>".repeat(1_000), "</d>"),
                &format!("count(//*{})=1", "//..//*".repeat(10)),
            )
        },
    ),
    Kind::new(
        "set-equals-set",
        "100,000 strings, each compared with 100,000 others.",
        || compared("="),
    ),
    Kind::new(
        "set-differs-from-set",
        "100,000 equal strings, each compared with 100,000 equal to it.",
        || {
            condition(
                &format!(
                    "{}{}",
                    "<a>0</a>".repeat(100_000),
                    "<b>0</b>".repeat(100_000)
                ),
                "//a!=//b",
            )
        },
    ),
    Kind::new(
        "set-less-than-set",
        "100,000 numbers, each compared with 100,000 smaller ones.",
        || compared("&lt;"),
    ),
    Kind::new(
        "set-of-long-texts",
        "A set of 500 texts of 10 KB that differ at the end, compared with itself for each of 500.",
        || {
            let text = "t".repeat(9_000);
            condition(
                &each(500, |n| format!("<a>{text}{n}</a>")),
                "count(//a[//a=concat(.,'q')])=1",
            )
        },
    ),
    Kind::new(
        "union-of-large-sets",
        "60 sets of 30,000 elements, put together and in order.",
        || {
            condition(
                &"<x/>".repeat(30_000),
                &format!("count({})=1", vec!["//x"; 60].join("|")),
            )
        },
    ),
    Kind::new(
        "union-in-predicate",
        "Two sets put together in order, for each of 5,000 elements.",
        || condition(&"<x/>".repeat(5_000), "count(//x[count(../x|//x)=1])=1"),
    ),
    Kind::new(
        "lang",
        "lang() below 9,990 attributes, for each of 20,000 elements (X5).",
        || {
            let attributes = attributes("a", 9_990);
            let expression = "//x[lang('en')]|/vnml/project/m";
            format!(
                "<vnml{attributes}><project><m/>{}<group><valuation><m select=\"{expression}\"/>\
                 </valuation></group></project></vnml>",
                "<x/>".repeat(20_000)
            )
            .into_bytes()
        },
    ),
    Kind::new(
        "attributes-of-each",
        "The 9,000 attributes of one element, looked through for each of 5,000 elements.",
        || {
            condition(
                &format!("<y{}/>{}", attributes("a", 9_000), "<x/>".repeat(5_000)),
                "count(//x[//y/@*[.='q'] or //y/@a8999='q'])=1",
            )
        },
    ),
    Kind::new(
        "relative-in-use",
        "A walk through the whole document from each of 2,000 contexts.",
        || {
            project(
                &format!("<x>{}</x>", "<p/>".repeat(2_000)),
                "<group><valuation use='vn:link(/vnml/project/x, p)'>\
             <q select='./self::p[count(following-sibling::p|preceding-sibling::p)&gt;0]'/></valuation></group>",
            )
        },
    ),
];

/// Numbers on the left that all exceed those on the right.
fn compared(operator: &str) -> Vec<u8> {
    let left = each(100_000, |n| format!("<a>{}</a>", 200_000 + n));
    let right = each(100_000, |n| format!("<b>{n}</b>"));
    condition(&format!("{left}{right}"), &format!("//a{operator}//b"))
}

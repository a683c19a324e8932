//! Expressions that make or read long strings.

use crate::{Kind, condition, grouped, nested, selecting};

/// A text of 1 MB in an element.
fn megabyte(name: &str) -> String {
    format!("<{name}>{}</{name}>", "t".repeat(1_000_000))
}

pub const KINDS: &[Kind] = &[
    Kind::new(
        "concat",
        "3,900 times 9 MB in one string: 36 GB (V2).",
        || {
            let expression = format!("concat({})", vec!["//b"; 3_900].join(","));
            selecting(&megabyte("b").repeat(9), &expression)
        },
    ),
    Kind::new(
        "concat-in-concat",
        "60 times the same argument twice: 2 to the 20th times 1 MB and on.",
        || {
            condition(&megabyte("b"), &{
                (0..12).fold("//b".to_owned(), |inner, _| {
                    format!("concat({inner},{inner})")
                })
            })
        },
    ),
    Kind::new(
        "translate-by-16000",
        "A text of 1 MB, each character looked for among 16,000 (V5).",
        || {
            condition(
                &megabyte("b"),
                &format!("translate(//b,'{}','')=''", "abcdefgh".repeat(2_000)),
            )
        },
    ),
    Kind::new(
        "translate-by-itself",
        "A text of 2 MB, each character looked for among 2 MB (X5).",
        || {
            condition(
                &format!(
                    "<a>{}</a><b>{}</b>",
                    "x".repeat(2_000_000),
                    "y".repeat(2_000_000)
                ),
                "translate(/vnml/project/a,/vnml/project/b,'')!=''",
            )
        },
    ),
    Kind::new(
        "string-length",
        "The length of 9 MB, for each of 1,000 elements (V5).",
        || {
            let definitions = format!("{}{}", "<a/>".repeat(1_000), megabyte("b").repeat(9));
            selecting(&definitions, "//a[string-length(//b)=1]")
        },
    ),
    Kind::new(
        "contains",
        "1 MB searched for what is almost there, for each of 10,000 elements.",
        || {
            let definitions = format!("{}{}", "<a/>".repeat(10_000), megabyte("b"));
            selecting(
                &definitions,
                &format!("//a[contains(//b,'{}u')]", "t".repeat(1_000)),
            )
        },
    ),
    Kind::new(
        "normalize-space",
        "5 MB of blanks put in order, for each of 2,000 elements.",
        || {
            let definitions = format!("{}<b>{}</b>", "<a/>".repeat(2_000), " x".repeat(2_500_000));
            selecting(&definitions, "//a[normalize-space(//b)='']")
        },
    ),
    Kind::new(
        "substrings",
        "A piece of 5 MB of two-byte characters, for each of 5,000 elements.",
        || {
            let definitions = format!("{}<b>{}</b>", "<a/>".repeat(5_000), "é".repeat(2_500_000));
            selecting(&definitions, "//a[substring(//b,2400000,10)='']")
        },
    ),
    Kind::new(
        "long-numbers",
        "A number of 5 MB of digits read, for each of 5,000 elements.",
        || {
            let definitions = format!("{}<b>{}</b>", "<a/>".repeat(5_000), "7".repeat(5_000_000));
            selecting(&definitions, "//a[number(//b)=1]")
        },
    ),
    Kind::new(
        "string-of-every-depth",
        "The string of each element on a path of 120 above 5 MB: 600 MB.",
        || {
            condition(
                &nested(120, "<d>", &"t".repeat(5_000_000), "</d>"),
                "//d='q' or count(//d[string-length(.)=1])=1 or sum(//d)=1",
            )
        },
    ),
    Kind::new(
        "sum-of-subtrees",
        "The sum of 120 elements, each the string of 100,000 texts below.",
        || {
            condition(
                &nested(120, "<d>", &"<e>1</e>".repeat(100_000), "</d>"),
                "sum(//d)=1",
            )
        },
    ),
    Kind::new(
        "id-of-many",
        "id() of 1 million words, for each of 1,000 elements.",
        || {
            let definitions = format!("{}<b>{}</b>", "<a/>".repeat(1_000), "a ".repeat(1_000_000));
            selecting(&definitions, "//a[id(//b)]")
        },
    ),
    Kind::new(
        "element-into-attribute",
        "1 MB of markup written into an attribute, for each of 2,000 valuations: 2 GB and more.",
        || {
            let definitions = format!("<b>{}</b>", "<c d='&quot;&amp;'/>".repeat(50_000));
            grouped(
                &definitions,
                &"<valuation a='${select(/vnml/project/b)}'/>".repeat(2_000),
            )
        },
    ),
    Kind::new(
        "attribute-into-attribute",
        "An attribute of 1 MB, put into ten attributes of each of 1,000 valuations.",
        || {
            let definitions = format!("<b d='{}'/>", "&amp;".repeat(200_000));
            let taken = crate::each(10, |n| format!(" a{n}='${{select(/vnml/project/b/@d)}}'"));
            grouped(&definitions, &format!("<valuation{taken}/>").repeat(1_000))
        },
    ),
];

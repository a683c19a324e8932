//! Expressions that are deep, long or many.

use crate::{Kind, condition, each, grouped, nested, selecting};

pub const KINDS: &[Kind] = &[
    Kind::new(
        "stack-of-chains",
        "55 brackets, each around two chains of operators: a tree 6,600 high out of 13 KB (V1).",
        || condition("", &chained(55, 60, 60)),
    ),
    Kind::new(
        "stack-of-functions",
        "60 functions around each other, each beside a chain of 200 operators.",
        || {
            let chain = "+1".repeat(200);
            condition("", &nested(60, "number(", "1", &format!("{chain})")))
        },
    ),
    Kind::new(
        "stack-of-predicates",
        "60 predicates inside each other, each beside a chain of 200 alternatives.",
        || {
            let chain = " or @a".repeat(200);
            selecting(
                "<x/>",
                &format!(
                    "/vnml/project/x[{}]",
                    nested(60, "x[", ".", &format!("{chain}]"))
                ),
            )
        },
    ),
    Kind::new("long-chain", "One chain of 300,000 operators.", || {
        condition("", &format!("1{}", "+1".repeat(300_000)))
    }),
    Kind::new("long-path", "One path of 200,000 steps.", || {
        selecting("<x/>", &format!("/vnml/project/x{}", "/.".repeat(200_000)))
    }),
    Kind::new(
        "minus-signs",
        "A number behind 500,000 minus signs.",
        || condition("", &format!("{}1", "-".repeat(500_000))),
    ),
    Kind::new(
        "selects",
        "200 expressions of some 4.5 million visits each (X5).",
        || {
            let definitions = format!("{}<x k='1'/>", "<x/>".repeat(1_000));
            grouped(
                &definitions,
                &each(200, |n| {
                    format!(
                        "<valuation><m select='/vnml/project/x[@k][count(//x[count(//x[.])&gt;{n}])&gt;1]'/></valuation>"
                    )
                }),
            )
        },
    ),
    Kind::new(
        "many-to-compile",
        "20,000 expressions, no two the same, each to be compiled and kept.",
        || {
            grouped(
                "<m/>",
                &each(20_000, |n| {
                    format!(
                        "<valuation><p select='/vnml/project/m[{n}&gt;0 or ({n}+1)*2=3 or //q{n}[@a][last()]]'/></valuation>"
                    )
                }),
            )
        },
    ),
    Kind::new(
        "nested-last",
        "Predicates with last() inside each other over 3,000 siblings, so that each is counted anew.",
        || {
            condition(
                &"<x/>".repeat(3_000),
                "//x[last()][../x[last()][../x[position()=last()-1]]] and count(//x[count(../x[last()])=1])=1",
            )
        },
    ),
    Kind::new(
        "many-predicates",
        "5,000 predicates one after the other over 10,000 elements.",
        || {
            condition(
                &"<x/>".repeat(10_000),
                &format!("//x{}", "[.='']".repeat(5_000)),
            )
        },
    ),
    Kind::new(
        "count-in-count",
        "A count inside a count inside a count over 500 elements: 125 million visits.",
        || {
            condition(
                &"<x/>".repeat(500),
                "count(//x[count(//x[count(//x)&gt;1])&gt;1])=1",
            )
        },
    ),
    Kind::new(
        "long-failing-expression",
        "An expression of 1.5 MB that matches nothing, for whoever tells why it failed.",
        || {
            selecting(
                "<m/>",
                &format!("/vnml/project/m[.='{}']", "e".repeat(1_500_000)),
            )
        },
    ),
    Kind::new(
        "long-wrong-expression",
        "An expression of 1.5 MB that is none, for whoever says where it is wrong.",
        || {
            selecting(
                "<m/>",
                &format!("/vnml/project/m[{} !", "(".repeat(1_500_000)),
            )
        },
    ),
];

fn chained(depth: usize, times: usize, plus: usize) -> String {
    let end = format!("{}{})", "*1".repeat(times), "+1".repeat(plus));
    nested(depth, "(", "1", &end)
}

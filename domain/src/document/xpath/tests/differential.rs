//! Compares with oxml, an independent implementation. Where the two agree, both are likely right.

use oxml::tree::NodeKind;
use oxml::xpath::Value as Theirs;
use proptest::prelude::*;

use super::{DOCUMENT, GOLDEN, evaluated, shown, tree};

/// The value that oxml gives, in the same form; `None` if oxml does not accept the expression.
fn by_oxml(document: &oxml::Document, expression: &str) -> Option<String> {
    let compiled = oxml::XPath::compile(expression).ok()?;
    let context = document.root_element()?;
    let value = compiled
        .evaluate_from_with(document, context, &oxml::xpath::EvalContext::default())
        .ok()?;
    Some(match &value {
        Theirs::Boolean(boolean) => format!("boolean\t{boolean}"),
        Theirs::Number(_) => format!("number\t{}", value.to_str(document)),
        Theirs::String(text) => format!("text\t{text}"),
        Theirs::NodeSet(nodes) => {
            let nodes = nodes.iter().filter(|node| {
                // Leave out namespace nodes, which this comparison does not cover.
                !matches!(document.kind(**node), Some(NodeKind::Namespace { .. }))
            });
            let texts: Vec<String> = nodes
                .map(|node| Theirs::NodeSet(vec![*node]).to_str(document))
                .collect();
            shown(texts.len(), texts.into_iter())
        }
    })
}

/// The difference between the two values; `None` if they agree or one engine does not accept the
/// expression.
fn differs(xml: &str, expression: &str) -> Option<String> {
    let theirs = by_oxml(&oxml::parse(xml).ok()?, expression)?;
    let ours = evaluated(&tree(xml), expression).ok()?;
    (ours != theirs).then(|| format!("{expression}\n  {xml}\n  ours   {ours}\n  theirs {theirs}"))
}

/// oxml writes 15 digits, as libxml2 does. The recommendation requires enough digits to distinguish
/// numbers.
const ODDITIES: &[&str] = &["string(1 div 3)"];

#[test]
fn the_golden_expressions_agree_with_oxml() {
    let expressions = GOLDEN.lines().filter_map(|line| line.split('\t').next());
    let wrong: Vec<String> = expressions
        .filter(|expression| !ODDITIES.contains(expression))
        .filter_map(|expression| differs(DOCUMENT, expression))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn element() -> impl Strategy<Value = String> {
    let name = prop_oneof![Just("a"), Just("b"), Just("c")];
    let attribute = prop_oneof![
        Just(""),
        Just(" k='1'"),
        Just(" k='2'"),
        Just(" n='x'"),
        Just(" k='1' n='y'")
    ];
    let content = prop_oneof![Just(""), Just("1"), Just("2 "), Just("t"), Just("<!--c-->")];
    let leaf = (name.clone(), attribute.clone(), content)
        .prop_map(|(name, attribute, content)| format!("<{name}{attribute}>{content}</{name}>"));
    leaf.prop_recursive(4, 40, 5, move |inner| {
        let children = prop::collection::vec(inner, 0..5);
        (name.clone(), attribute.clone(), children).prop_map(|(name, attribute, children)| {
            format!("<{name}{attribute}>{}</{name}>", children.concat())
        })
    })
}

fn expression() -> impl Strategy<Value = String> {
    let axis = prop::sample::select(vec![
        "",
        "",
        "",
        "descendant::",
        "ancestor::",
        "following::",
        "preceding::",
        "parent::",
        "following-sibling::",
        "preceding-sibling::",
        "self::",
        "descendant-or-self::",
        "ancestor-or-self::",
    ]);
    let test = prop::sample::select(vec![
        "a",
        "b",
        "c",
        "*",
        "*",
        "node()",
        "text()",
        "comment()",
    ]);
    let predicate = prop::sample::select(vec![
        "",
        "",
        "",
        "[1]",
        "[2]",
        "[last()]",
        "[position() > 1]",
        "[@k]",
        "[@k = '1']",
        "[@k = 1]",
        "[a]",
        "[.//b]",
        "[not(c)]",
        "[. = '1']",
        "[count(*) > 1]",
        "[@k = ../@k]",
        "[contains(., 't')]",
        "[name() = 'a' or @n]",
        "[1][@k]",
        "[@k][1]",
        "['']",
        "[.//@n = 'x']",
    ]);
    let step = (axis, test, predicate)
        .prop_map(|(axis, test, predicate)| format!("{axis}{test}{predicate}"));
    let separator = prop::sample::select(vec!["/", "/", "//"]);
    let path = (
        prop::sample::select(vec!["", "/", "//", ".//", "../"]),
        prop::collection::vec((step, separator), 1..4),
        prop::sample::select(vec!["", "", "", "/@k", "/@*", "//@n", "/.."]),
    )
        .prop_map(|(start, steps, end)| {
            let mut path = start.to_owned();
            for (index, (step, separator)) in steps.iter().enumerate() {
                if index > 0 {
                    path.push_str(separator);
                }
                path.push_str(step);
            }
            path + end
        });
    (path.clone(), path, 0..9_u8).prop_map(|(a, b, form)| match form {
        0 => format!("{a} | {b}"),
        1 => format!("({a})[1]"),
        2 => format!("({a})[last()]/*"),
        3 => format!("count({a}) + sum({b})"),
        4 => format!("{a} = {b}"),
        5 => format!("{a} < {b}"),
        6 => format!("string({a})"),
        _ => a,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_expression_on_any_document_agrees_with_oxml(
        content in prop::collection::vec(element(), 1..4),
        expression in expression(),
    ) {
        let xml = format!("<r>{}</r>", content.concat());
        let difference = differs(&xml, &expression);
        prop_assert!(difference.is_none(), "{}", difference.unwrap_or_default());
    }
}

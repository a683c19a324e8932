//! The evaluator against golden values, which lxml (libxml2) gave, and against oxml.

mod differential;

use super::{Evaluator, Item, Value, XPathError, compile};
use crate::document::index::Index;
use crate::document::limits::Limits;
use crate::document::parse::parse;
use crate::document::tree::Tree;

const DOCUMENT: &str = include_str!("document.xml");
const GOLDEN: &str = include_str!("golden.tsv");

fn tree(xml: &str) -> Tree {
    parse(xml.as_bytes(), &Limits::default()).unwrap()
}

/// What an expression gives at the document's element, as the golden file writes it.
fn evaluated(tree: &Tree, expression: &str) -> Result<String, XPathError> {
    let index = Index::default();
    let evaluator = Evaluator::new(tree, &index, Limits::default().max_visits);
    let context = tree.document_element().unwrap();
    let value = evaluator.evaluate(&compile(expression)?, context)?;
    Ok(match &value {
        Value::Boolean(boolean) => format!("boolean\t{boolean}"),
        Value::Number(_) => format!("number\t{}", value.text(tree)),
        Value::Text(text) => format!("text\t{text}"),
        Value::Nodes(nodes) => {
            let texts = nodes.iter().map(|item: &Item| item.string_value(tree));
            shown(nodes.len(), texts)
        }
    })
}

fn shown(count: usize, texts: impl Iterator<Item = String>) -> String {
    format!("nodes\t{count}\t{}", texts.collect::<Vec<_>>().join("¦"))
}

/// Where libxml2 is not what the recommendation says: it writes 15 digits and exponents, reads
/// exponents, and lxml leaves the document node out of what it gives.
const DIFFERENT: &[&str] = &[
    "string(1 div 3)",
    "string(100000000000)",
    "number('1e3')",
    "..",
];

#[test]
fn every_golden_expression_gives_its_value() {
    let tree = tree(DOCUMENT);
    let mut wrong = Vec::new();
    for line in GOLDEN.lines() {
        let (expression, expected) = line.split_once('\t').unwrap();
        let given = evaluated(&tree, expression).unwrap_or_else(|_| "error".into());
        if given != expected && !DIFFERENT.contains(&expression) {
            wrong.push(format!(
                "{expression}\n  expected {expected}\n  given    {given}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_expression_visits_no_more_than_it_may() {
    let tree = tree(&format!("<a>{}</a>", "<b/>".repeat(100)));
    let index = Index::default();
    let expression = compile("//b[//b]").unwrap();
    let visits = |limit| Evaluator::new(&tree, &index, limit).evaluate(&expression, tree.root());
    assert_eq!(visits(1_000), Err(XPathError::TooCostly(1_000)));
    assert!(visits(Limits::default().max_visits).is_ok());
}

#[test]
fn an_expression_too_long_or_nested_too_deep_is_no_expression() {
    let long = format!("/{}", "a".repeat(20_000));
    assert!(matches!(compile(&long), Err(XPathError::Syntax(_))));
    let deep = format!("{}1{}", "(".repeat(1_000), ")".repeat(1_000));
    assert!(matches!(compile(&deep), Err(XPathError::Syntax(_))));
    let minus = format!("{}1", "-".repeat(10_000));
    assert!(matches!(
        compile(&minus),
        Ok(_) | Err(XPathError::Syntax(_))
    ));
    let nested = format!("a{}{}", "[a".repeat(1_000), "]".repeat(1_000));
    assert!(matches!(compile(&nested), Err(XPathError::Syntax(_))));
}

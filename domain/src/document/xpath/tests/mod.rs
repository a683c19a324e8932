//! Tests the evaluator against golden values from lxml (libxml2), and against oxml.

mod differential;

use std::rc::Rc;

use super::{Evaluator, Item, Value, XPathError, compile};
use crate::document::budget::{Meter, Over, Spent};
use crate::document::index::Index;
use crate::document::limits::Limits;
use crate::document::parse::parse;
use crate::document::tree::Tree;

const DOCUMENT: &str = include_str!("document.xml");
const GOLDEN: &str = include_str!("golden.tsv");

fn meter(limits: Limits) -> Rc<Meter> {
    Rc::new(Meter::new(&limits, Spent::default()))
}

fn tree(xml: &str) -> Tree {
    parse(xml.as_bytes(), &Limits::default()).unwrap()
}

/// The value of an expression at the document element, in the form of the golden file.
fn evaluated(tree: &Tree, expression: &str) -> Result<String, XPathError> {
    let index = Index::default();
    let evaluator = Evaluator::new(tree, &index, meter(Limits::default()));
    let context = tree.document_element().unwrap();
    let expression = compile(expression)?;
    let value = evaluator.evaluate(&expression, context)?;
    Ok(match value {
        Value::Boolean(boolean) => format!("boolean\t{boolean}"),
        Value::Number(_) => format!("number\t{}", evaluator.text_of(value)?),
        Value::Text(text) => format!("text\t{text}"),
        Value::Nodes(nodes) => {
            let text = |item: &Item| evaluator.text_of_item(*item).unwrap().into_owned();
            shown(nodes.len(), nodes.iter().map(text))
        }
    })
}

fn shown(count: usize, texts: impl Iterator<Item = String>) -> String {
    format!("nodes\t{count}\t{}", texts.collect::<Vec<_>>().join("¦"))
}

/// Where libxml2 differs from the recommendation. It writes 15 digits and exponents, and it reads
/// exponents. lxml also omits the document node from its results.
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
fn an_expression_visits_no_more_than_its_document_may() {
    let tree = tree(&format!("<a>{}</a>", "<b/>".repeat(100)));
    let expression = compile("//b[//b]").unwrap();
    let visits = |max_visits| {
        let limits = Limits {
            max_visits,
            ..Limits::default()
        };
        let meter = meter(limits);
        // The first evaluation builds the index and pays for it.
        let index = Index::default();
        let value = Evaluator::new(&tree, &index, meter.clone()).evaluate(&expression, tree.root());
        (value.map(|_| ()), meter.spent().visits)
    };
    let (whole, needed) = visits(u64::MAX);
    assert_eq!(whole, Ok(()));
    assert_eq!(visits(needed).0, Ok(()), "at the limit");
    let over = XPathError::TooCostly(Over::Visits(needed - 1));
    assert_eq!(visits(needed - 1).0, Err(over), "one beyond it");
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

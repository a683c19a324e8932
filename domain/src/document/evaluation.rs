//! Evaluates an XPath expression and prints its value as text. `tests/conformance` compares that
//! text with the value that lxml gives.

use crate::FailureCode;
use std::collections::HashMap;

use super::hydrate::{CapturedResources, HydrationError};
use super::request::{Document, Effort};
use super::tree::NodeId;
use super::well_formed::local_name;
use super::xpath::{Evaluator, Item, Value, XPathError, compile, format_number};

impl Document {
    /// Evaluates an expression at the root. The text is a value with its type, or the positions of
    /// the nodes.
    ///
    /// The nodes of the document element are numbered in document order. An attribute is identified
    /// by the number of its element and by its expanded name.
    pub fn evaluate(&self, expression: &str) -> Result<String, HydrationError> {
        self.hydrating(&CapturedResources::default(), Effort::Whole, |hydrator| {
            let wrong = |error: XPathError| {
                HydrationError::failed(
                    FailureCode::HydrationSyntax,
                    "",
                    expression,
                    error.to_string(),
                )
            };
            let compiled = compile(expression).map_err(wrong)?;
            let evaluator = Evaluator::new(&self.tree, &self.index, hydrator.meter.clone());
            let value = evaluator.evaluate(&compiled, self.tree.root());
            Ok(match value.map_err(wrong)? {
                Value::Nodes(nodes) => self.places(&nodes),
                Value::Boolean(boolean) => format!("boolean {boolean}"),
                Value::Number(number) => format!("number {}", format_number(number)),
                Value::Text(text) => format!("string {text}"),
            })
        })
    }

    fn places(&self, nodes: &[Item]) -> String {
        let first = self.tree.document_element();
        let all = std::iter::successors(first, |node| self.tree.following(*node));
        let places: HashMap<NodeId, usize> = all.zip(0..).collect();
        let place = |node| places.get(&node).map_or("-".to_owned(), usize::to_string);
        let told = nodes.iter().map(|item| match *item {
            Item::Node(node) => place(node),
            Item::Attribute(owner, index) => {
                let attribute = self.tree.attribute_at(owner, index as usize);
                let (space, name) = (attribute.namespace, local_name(attribute.name));
                format!("{}@{{{space}}}{name}", place(owner))
            }
            Item::Namespace(owner, _) => format!("{}:namespace", place(owner)),
        });
        format!("nodes {}", told.collect::<Vec<_>>().join(" "))
    }
}

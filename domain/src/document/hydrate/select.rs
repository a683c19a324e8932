//! `select`: an element of this document. See `vnml.md`, section 4.2.

use super::merge::{Rule, merge};
use super::piece::Element;
use super::{Depth, HydrationError, Hydrator, Scope};
use crate::document::tree::NodeId;
use crate::document::xpath::{Item, Value};

impl<'a> Hydrator<'a> {
    /// The selected element with this one laid over it, hydrated in turn. What is below the two
    /// is merged as it is written, and resolved where it then stands: so a child's own `select`
    /// goes over what the selected element has in its place.
    pub(super) fn select(
        &self,
        mut element: Element<'a>,
        scope: &Scope<'a>,
        level: usize,
    ) -> Result<Element<'a>, HydrationError> {
        let expression = element.remove("select").unwrap_or_default();
        let expression = expression.trim();
        if expression.is_empty() {
            return Err(element.error("hydration-syntax", "", "its select is empty"));
        }
        let selected = self.selected(&element, expression, scope)?;
        self.refuse_cycle(&element, expression, selected, scope)?;
        let inner = self.linked(&element, expression, (self.tree, selected), scope)?;
        let mut other = Element::of(self.tree, selected);
        other.remove("select");
        let other = self.hrefs(other, true, &inner, level)?;
        let merged = merge(element, other, Rule::Select);
        self.element(merged, &inner, true, Depth::Whole, level)
    }

    fn selected(
        &self,
        element: &Element<'a>,
        expression: &str,
        scope: &Scope<'a>,
    ) -> Result<NodeId, HydrationError> {
        let value = self.evaluate(element, expression, scope.context)?;
        let elements: Vec<NodeId> = match &*value {
            Value::Nodes(nodes) => nodes
                .iter()
                .filter_map(|item| match item {
                    Item::Node(node) if self.tree.is_element(*node) => Some(*node),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        };
        match elements.as_slice() {
            [selected] => Ok(*selected),
            [] => {
                let reason = "it gives no element; exactly one is expected";
                Err(element.error("hydration-no-match", expression, reason))
            }
            many => {
                let reason = format!("it gives {} elements; exactly one is expected", many.len());
                Err(element.error("hydration-ambiguous", expression, reason))
            }
        }
    }
}

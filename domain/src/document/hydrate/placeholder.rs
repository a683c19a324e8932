//! `${select(xpath)}`: a value in an attribute. See `vnml.md`, section 4.4.

use std::borrow::Cow;

use super::piece::Element;
use super::{HydrationError, Hydrator, Scope};
use crate::document::tree::Kind;
use crate::document::write::Writer;
use crate::document::xpath::{Item, Value};

/// How many bytes of a value weigh as much as a node.
const BYTES_A_NODE: usize = 64;

/// Whether a whole attribute value is a placeholder.
pub(super) fn is(value: &str) -> bool {
    expression(value).is_some()
}

fn expression(value: &str) -> Option<&str> {
    value.strip_prefix("${select(")?.strip_suffix(")}")
}

impl<'a> Hydrator<'a> {
    /// Replaces the placeholders of an element's attributes by their values.
    pub(super) fn placeholders(
        &self,
        element: &mut Element<'a>,
        scope: &Scope<'a>,
    ) -> Result<(), HydrationError> {
        for index in 0..element.attributes.len() {
            let Some(expression) = expression(&element.attributes[index].value) else {
                continue;
            };
            let value = self.attribute_value(element, expression.trim(), scope)?;
            self.spend(element, value.len() / BYTES_A_NODE)?;
            element.attributes[index].value = Cow::Owned(value);
        }
        Ok(())
    }

    fn attribute_value(
        &self,
        element: &Element<'a>,
        expression: &str,
        scope: &Scope<'a>,
    ) -> Result<String, HydrationError> {
        if expression.is_empty() {
            let reason = "a placeholder needs an expression: ${select(/vnml/…)}";
            return Err(element.error("hydration-syntax", expression, reason));
        }
        let value = self.evaluate(element, expression, scope.context)?;
        let Value::Nodes(nodes) = &*value else {
            let reason = "it gives no node; an attribute, a text or an element is expected";
            return Err(element.error("hydration-no-match", expression, reason));
        };
        match nodes.as_slice() {
            [] => Err(element.error("hydration-no-match", expression, "it gives nothing")),
            [item] => self.string_of(*item).ok_or_else(|| {
                let reason = "it gives no attribute, text or element";
                element.error("hydration-no-match", expression, reason)
            }),
            many => {
                let reason = format!("it gives {} values; exactly one is expected", many.len());
                Err(element.error("hydration-ambiguous", expression, reason))
            }
        }
    }

    fn string_of(&self, item: Item) -> Option<String> {
        match item {
            Item::Attribute(..) => Some(item.string_value(self.tree)),
            Item::Node(node) => match self.tree.kind(node) {
                Kind::Text => Some(self.tree.text(node).to_owned()),
                Kind::Element => {
                    let mut writer = Writer::up_to(self.limits.max_hydrated_bytes);
                    writer.node(self.tree, node);
                    Some(writer.text)
                }
                Kind::Root | Kind::Comment | Kind::Instruction => None,
            },
        }
    }
}

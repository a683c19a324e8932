//! `${select(xpath)}`: a value in an attribute. See `docs/vnml.md`, section 4.4.

use crate::FailureCode;
use std::borrow::Cow;

use super::piece::Element;
use super::{HydrationError, Hydrator, Scope};
use crate::document::budget::Over;
use crate::document::tree::Kind;
use crate::document::well_formed::trimmed;
use crate::document::write::Writer;
use crate::document::xpath::Item;

/// How many bytes of a value cost as much as a node.
const BYTES_A_NODE: usize = 64;

/// Returns whether a whole attribute value is a placeholder.
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
        if !element.is_ours() {
            return Ok(());
        }
        for index in 0..element.attributes.len() {
            let attribute = &element.attributes[index];
            let Some(expression) = expression(&attribute.value).filter(|_| !attribute.placed)
            else {
                continue;
            };
            let value = self.attribute_value(element, trimmed(expression), scope)?;
            let attribute = &mut element.attributes[index];
            (attribute.value, attribute.placed) = (value, true);
        }
        Ok(())
    }

    fn attribute_value(
        &self,
        element: &Element<'a>,
        expression: &str,
        scope: &Scope<'a>,
    ) -> Result<Cow<'a, str>, HydrationError> {
        let over = |over| element.over(expression, over);
        self.meter.resolve().map_err(over)?;
        if expression.is_empty() {
            let reason = "a placeholder needs an expression: ${select(/vnml/…)}";
            return Err(element.error(FailureCode::HydrationSyntax, expression, reason));
        }
        let given = self.evaluate(element, expression, scope.context)?;
        let Some(nodes) = given else {
            let reason = "it gives no node; an attribute, a text or an element is expected";
            return Err(element.error(FailureCode::HydrationNoMatch, expression, reason));
        };
        match &*nodes {
            [] => Err(element.error(
                FailureCode::HydrationNoMatch,
                expression,
                "it gives nothing",
            )),
            [item] => self.string_of(*item).map_err(over)?.ok_or_else(|| {
                let reason = "it gives no attribute, text or element";
                element.error(FailureCode::HydrationNoMatch, expression, reason)
            }),
            many => {
                let reason = format!("it gives {} values; exactly one is expected", many.len());
                Err(element.error(FailureCode::HydrationAmbiguous, expression, reason))
            }
        }
    }

    fn string_of(&self, item: Item) -> Result<Option<Cow<'a, str>>, Over> {
        let tree = self.tree;
        Ok(match item {
            Item::Attribute(owner, index) => {
                Some(tree.attribute_at(owner, index as usize).value.into())
            }
            Item::Namespace(..) => None,
            Item::Node(node) => match tree.kind(node) {
                Kind::Text => Some(tree.text(node).into()),
                Kind::Element => {
                    let mut writer = Writer::within(&self.meter.limits);
                    writer.node(tree, node);
                    if let Some(over) = writer.over() {
                        return Err(over);
                    }
                    // Charge both the memory that holds the text and the second write with the
                    // element.
                    let bytes = writer.text.len();
                    self.meter.make(1 + bytes / BYTES_A_NODE, bytes)?;
                    Some(writer.text.into())
                }
                Kind::Root | Kind::Comment | Kind::Instruction => None,
            },
        })
    }
}

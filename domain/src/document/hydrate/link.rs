//! `use="vn:link(xpath, child)"`: one valuation for each. See `vnml.md`, section 4.3.

use super::piece::Element;
use super::{HydrationError, Hydrator, Scope, placeholder};
use crate::document::tree::NodeId;
use crate::document::xpath::{Item, Value, XPathError};

impl Hydrator<'_> {
    /// The contexts that a valuation's `use` gives, in order; none where it has no `use`. Where
    /// its `own` references count, its `href` may bring one.
    pub fn contexts(
        &self,
        valuation: NodeId,
        own: bool,
    ) -> Result<Option<Vec<NodeId>>, HydrationError> {
        let mut element = Element::of(self.tree, valuation);
        let literal = |uri: &str| !placeholder::is(uri);
        if own && element.attribute("href").is_some_and(literal) {
            element = self.href(element, &mut Scope::default())?;
            let uris = self.missing.take();
            if !uris.is_empty() {
                return Err(HydrationError::Missing { uris });
            }
        }
        let link = element.attribute("use").unwrap_or_default().trim();
        if link.is_empty() {
            return Ok(None);
        }
        let (source, child) = arguments(&element, link)?;
        let value = self.evaluate(&element, source, None)?;
        let parents = elements(self, &value);
        if parents.is_empty() {
            let reason = format!("'{source}' gives no element");
            return Err(element.error("hydration-no-match", link, reason));
        }
        let expression = self
            .compiled(child)
            .map_err(|error| element.error("hydration-syntax", child, error.to_string()))?;
        let mut contexts = Vec::new();
        for parent in parents {
            let children = self
                .evaluator
                .evaluate(&expression, parent)
                .map_err(|error| {
                    let code = match error {
                        XPathError::Syntax(_) => "hydration-syntax",
                        XPathError::TooCostly(_) => "hydration-too-costly",
                    };
                    element.error(code, child, error.to_string())
                })?;
            contexts.extend(elements(self, &children));
            if contexts.len() > self.limits.max_tasks {
                let reason = format!("it gives more than {} tasks", self.limits.max_tasks);
                return Err(element.error("hydration-too-costly", link, reason));
            }
        }
        if contexts.is_empty() {
            let reason = format!("'{source}' has no '{child}'");
            return Err(element.error("hydration-no-match", link, reason));
        }
        Ok(Some(contexts))
    }
}

fn elements(hydrator: &Hydrator<'_>, value: &Value) -> Vec<NodeId> {
    let Value::Nodes(nodes) = value else {
        return Vec::new();
    };
    nodes
        .iter()
        .filter_map(|item| match item {
            Item::Node(node) if hydrator.tree.is_element(*node) => Some(*node),
            _ => None,
        })
        .collect()
}

/// The two arguments of `vn:link`, split at the last comma outside brackets and quotes.
fn arguments<'l>(
    element: &Element<'_>,
    link: &'l str,
) -> Result<(&'l str, &'l str), HydrationError> {
    let wrong = |reason: String| element.error("hydration-syntax", link, reason);
    let (function, rest) = link
        .split_once('(')
        .ok_or_else(|| wrong("vn:link(xpath, child) is expected".into()))?;
    let inner = rest
        .trim_end()
        .strip_suffix(')')
        .ok_or_else(|| wrong("its parenthesis is not closed".into()))?;
    let function = function.trim();
    if function != "vn:link" {
        return Err(wrong(format!(
            "there is no function {function}; only vn:link"
        )));
    }
    let comma = last_comma(inner).ok_or_else(|| wrong("two arguments are expected".into()))?;
    let (source, child) = (inner[..comma].trim(), inner[comma + 1..].trim());
    if source.is_empty() || child.is_empty() {
        return Err(wrong("an argument is empty".into()));
    }
    Ok((source, child))
}

fn last_comma(text: &str) -> Option<usize> {
    let (mut depth, mut quote, mut last) = (0_i32, None, None);
    for (index, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (Some(open), byte) if byte == open => quote = None,
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'(' | b'[') => depth += 1,
            (None, b')' | b']') => depth -= 1,
            (None, b',') if depth == 0 => last = Some(index),
            (Some(_) | None, _) => {}
        }
    }
    last
}

//! `use="vn:link(xpath, child)"`: one valuation for each node. See `docs/vnml.md`, section 4.3.

use super::piece::Element;
use super::{HydrationError, Hydrator, Resolved, Scope, placeholder};
use crate::FailureCode;
use crate::document::limits::Limits;
use crate::document::tree::NodeId;
use crate::document::well_formed::trimmed;
use crate::document::xpath::{Item, Value, XPathError};

impl<'a> Hydrator<'a> {
    /// The contexts that the `use` of a valuation gives, in order; `None` if it has no `use`. If
    /// its `own` references count, its `href` may bring a `use`.
    pub fn contexts(
        &self,
        valuation: NodeId,
        own: bool,
    ) -> Result<Option<Vec<NodeId>>, HydrationError> {
        let element = self.linking(valuation, own)?;
        let link = trimmed(element.reference("use").unwrap_or_default());
        if link.is_empty() {
            return Ok(None);
        }
        let over = |over| element.over(link, over);
        self.meter.resolve().map_err(over)?;
        let (source, child) = arguments(&element, link)?;
        let parents = self.evaluate(&element, source, None)?;
        let parents = parents.iter().flat_map(|items| items.iter());
        let parents: Vec<NodeId> = parents.filter_map(|item| self.element_at(*item)).collect();
        if parents.is_empty() {
            let reason = format!("'{source}' gives no element");
            return Err(element.error(FailureCode::HydrationNoMatch, link, reason));
        }
        let expression = self.compiled(child).map_err(|error| match error {
            XPathError::Syntax(reason) => {
                element.error(FailureCode::HydrationSyntax, child, reason)
            }
            XPathError::TooCostly(over) => element.over(child, over),
        })?;
        let mut contexts = Vec::new();
        for parent in parents {
            let children = self.evaluator.evaluate(&expression, parent);
            let children = children.map_err(|error| match error {
                XPathError::Syntax(reason) => {
                    element.error(FailureCode::HydrationSyntax, child, reason)
                }
                XPathError::TooCostly(over) => element.over(child, over),
            })?;
            if let Value::Nodes(items) = children {
                contexts.extend(items.iter().filter_map(|item| self.element_at(*item)));
            }
            if contexts.len() > self.meter.limits.max_tasks {
                return Err(too_many_tasks(&self.meter.limits));
            }
        }
        if contexts.is_empty() {
            let reason = format!("'{source}' has no '{child}'");
            return Err(element.error(FailureCode::HydrationNoMatch, link, reason));
        }
        Ok(Some(contexts))
    }

    /// The valuation from which `use` is read. If its `own` references count, it includes the
    /// content that its `href` brings.
    fn linking(&self, valuation: NodeId, own: bool) -> Resolved<'a> {
        let over = |over| HydrationError::over("valuation", "", over);
        let mut element = Element::of(&self.meter, self.tree, valuation).map_err(over)?;
        let literal = |uri: &str| !placeholder::is(uri);
        if own && element.reference("href").is_some_and(literal) {
            element = self.href(element, &mut Scope::default())?;
            let uris = self.missing.take();
            if !uris.is_empty() {
                return Err(HydrationError::Missing { uris });
            }
        }
        Ok(element)
    }

    fn element_at(&self, item: Item) -> Option<NodeId> {
        match item {
            Item::Node(node) if self.tree.is_element(node) => Some(node),
            _ => None,
        }
    }
}

/// The error when a document gives more tasks than allowed.
pub(crate) fn too_many_tasks(limits: &Limits) -> HydrationError {
    let reason = format!(
        "the document becomes more than {} tasks (max-tasks)",
        limits.max_tasks
    );
    HydrationError::failed(FailureCode::HydrationTooCostly, "group", "", reason)
}

/// The two arguments of `vn:link`, split at the last comma outside brackets and quotes.
fn arguments<'l>(
    element: &Element<'_>,
    link: &'l str,
) -> Result<(&'l str, &'l str), HydrationError> {
    let wrong = |reason: String| element.error(FailureCode::HydrationSyntax, link, reason);
    let (function, rest) = link
        .split_once('(')
        .ok_or_else(|| wrong("vn:link(xpath, child) is expected".into()))?;
    let inner = rest
        .strip_suffix(')')
        .ok_or_else(|| wrong("its parenthesis is not closed".into()))?;
    let function = trimmed(function);
    if function != "vn:link" {
        return Err(wrong(format!(
            "there is no function {function}; only vn:link"
        )));
    }
    let comma = last_comma(inner).ok_or_else(|| wrong("two arguments are expected".into()))?;
    let (source, child) = (trimmed(&inner[..comma]), trimmed(&inner[comma + 1..]));
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

//! `select`: an element of this document. See `docs/vnml.md`, section 4.2.

use super::merge::{Rule, Side};
use super::piece::Element;
use super::{HydrationError, Hydrator, Resolved, Scope};
use crate::FailureCode;
use crate::document::tree::NodeId;
use crate::document::well_formed::trimmed;
use crate::document::xpath::Item;

impl<'a> Hydrator<'a> {
    /// The selected element, hydrated in turn, with the selecting element laid over it.
    pub(super) fn select(
        &self,
        mut element: Box<Element<'a>>,
        scope: &Scope<'a>,
        level: usize,
    ) -> Resolved<'a> {
        let expression = element.remove("select").unwrap_or_default();
        let expression = trimmed(&expression);
        if expression.is_empty() {
            return Err(element.error(FailureCode::HydrationSyntax, "", "its select is empty"));
        }
        let resolved = self.meter.resolve();
        resolved.map_err(|over| element.over(expression, over))?;
        let selected = self.selected(&element, expression, scope)?;
        self.refuse_cycle(&element, expression, selected, scope)?;
        let inner = self.linked(&element, expression, scope)?;
        let other = self.brought(&element, selected, &inner, level)?;
        let local = Side {
            element,
            scope: Some(scope),
        };
        let other = Side {
            element: other,
            scope: Some(&inner),
        };
        self.lay(local, other, Rule::Select, level)
    }

    /// The selected element with its own references resolved, except `select`, which is dropped.
    fn brought(
        &self,
        element: &Element<'a>,
        selected: NodeId,
        inner: &Scope<'a>,
        level: usize,
    ) -> Resolved<'a> {
        let over = |over| element.over("", over);
        let mut other = Element::of(&self.meter, self.tree, selected).map_err(over)?;
        other.remove("select");
        let mut other = self.hrefs(other, true, inner, level)?;
        other.remove("select");
        self.placeholders(&mut other, inner)?;
        if other.reference("href").is_some() {
            other = self.href(other, &mut inner.clone())?;
            other.remove("select");
        }
        Ok(other)
    }

    fn selected(
        &self,
        element: &Element<'a>,
        expression: &str,
        scope: &Scope<'a>,
    ) -> Result<NodeId, HydrationError> {
        let found = self.evaluate(element, expression, scope.context)?;
        let elements = |item: &Item| match item {
            Item::Node(node) if self.tree.is_element(*node) => Some(*node),
            _ => None,
        };
        let mut elements = found
            .iter()
            .flat_map(|items| items.iter().filter_map(elements));
        match (elements.next(), elements.next()) {
            (Some(selected), None) => Ok(selected),
            (None, _) => {
                let reason = "it gives no element; exactly one is expected";
                Err(element.error(FailureCode::HydrationNoMatch, expression, reason))
            }
            (Some(_), Some(_)) => {
                let many = elements.count() + 2;
                let reason = format!("it gives {many} elements; exactly one is expected");
                Err(element.error(FailureCode::HydrationAmbiguous, expression, reason))
            }
        }
    }
}

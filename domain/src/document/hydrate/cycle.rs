//! References that lead back to themselves.

use super::piece::Element;
use super::{HydrationError, Hydrator, Scope};
use crate::document::tree::NodeId;

impl<'a> Hydrator<'a> {
    /// An element may not select itself or what it is part of, nor what was selected on the way
    /// to it.
    pub(super) fn refuse_cycle(
        &self,
        element: &Element<'a>,
        expression: &str,
        selected: NodeId,
        scope: &Scope,
    ) -> Result<(), HydrationError> {
        let (tree, origin) = element.origin;
        let own = std::ptr::eq(tree, self.tree).then_some(origin);
        let within = |node: NodeId| self.tree.is_within(node, selected);
        // Only what came in by a selection can lead back to it.
        let came_in = own.is_some_and(|own| {
            let mut chain = scope.chain.iter();
            chain.any(|node| self.tree.is_within(own, *node))
        });
        if own.is_some_and(within) || (came_in && scope.chain.iter().any(|node| within(*node))) {
            let reason = "it selects what it is itself a part of";
            return Err(element.error("hydration-cycle", expression, reason));
        }
        if scope.chain.len() >= self.limits.max_chain {
            let reason = format!("more than {} references in a chain", self.limits.max_chain);
            return Err(element.error("hydration-cycle", expression, reason));
        }
        Ok(())
    }
}

//! References that lead back to themselves.

use super::piece::Element;
use super::{HydrationError, Hydrator, Scope};
use crate::document::tree::{NodeId, Tree};

impl<'a> Hydrator<'a> {
    /// An element may not select itself or what it is part of, nor what was selected on the way
    /// to it. Where something comes in from another document, the length of the chain ends it.
    pub(super) fn refuse_cycle(
        &self,
        element: &Element<'a>,
        expression: &str,
        selected: NodeId,
        scope: &Scope<'a>,
    ) -> Result<(), HydrationError> {
        let (tree, written) = element.written;
        if !std::ptr::eq(tree, self.tree) {
            return Ok(());
        }
        let links = || {
            let here = scope.chain.iter();
            here.filter(|(known, _)| std::ptr::eq(*known, tree))
                .map(|(_, link)| *link)
        };
        // Only what came in by a selection can lead back to it.
        let came_in = links().any(|link| tree.is_within(written, link));
        let back = links().any(|link| tree.is_within(link, selected));
        if tree.is_within(written, selected) || (came_in && back) {
            let reason = "it selects what it is itself a part of";
            return Err(element.error("hydration-cycle", expression, reason));
        }
        Ok(())
    }

    /// The scope of what a reference brings in, one link further.
    pub(super) fn linked(
        &self,
        element: &Element<'a>,
        expression: &str,
        link: (&'a Tree, NodeId),
        scope: &Scope<'a>,
    ) -> Result<Scope<'a>, HydrationError> {
        if scope.chain.len() >= self.limits.max_chain {
            let reason = format!("more than {} references in a chain", self.limits.max_chain);
            return Err(element.error("hydration-cycle", expression, reason));
        }
        let mut chain = scope.chain.clone();
        chain.push(link);
        Ok(Scope {
            context: scope.context,
            chain,
            place: None,
        })
    }
}

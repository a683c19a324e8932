//! References that lead back to themselves.

use crate::FailureCode;
use std::rc::Rc;

use super::piece::Element;
use super::{HydrationError, Hydrator, Scope};
use crate::document::tree::{NodeId, Tree};

/// The chain of elements whose references lead to an element, last one first.
#[derive(Debug)]
pub(crate) struct Link<'a> {
    by: (&'a Tree, NodeId),
    before: Option<Rc<Link<'a>>>,
    /// The length of the chain up to this link.
    length: usize,
}

impl<'a> Hydrator<'a> {
    /// Refuses a reference that leads back to itself. An element may not select one of its
    /// ancestors, nor an ancestor of an element whose reference leads to it.
    pub(super) fn refuse_cycle(
        &self,
        element: &Element<'a>,
        expression: &str,
        selected: NodeId,
        scope: &Scope<'a>,
    ) -> Result<(), HydrationError> {
        let over = |over| element.over(expression, over);
        let is_part = |(tree, node): (&'a Tree, NodeId)| {
            std::ptr::eq(tree, self.tree) && tree.is_within(node, selected)
        };
        let mut back = is_part(element.written);
        let mut link = scope.chain.as_ref();
        while let Some(known) = link.filter(|_| !back) {
            self.meter.visit(STEPS_UP).map_err(over)?;
            back = is_part(known.by);
            link = known.before.as_ref();
        }
        if back {
            let reason = "it selects an element that contains it";
            return Err(element.error(FailureCode::HydrationCycle, expression, reason));
        }
        Ok(())
    }

    /// The scope of the content that a reference brings in, with one more link.
    pub(super) fn linked(
        &self,
        element: &Element<'a>,
        expression: &str,
        scope: &Scope<'a>,
    ) -> Result<Scope<'a>, HydrationError> {
        let length = scope.chain.as_ref().map_or(0, |chain| chain.length);
        if length >= self.meter.limits.max_chain {
            let reason = format!("more than {length} references in a chain (max-chain)");
            return Err(element.error(FailureCode::HydrationCycle, expression, reason));
        }
        Ok(Scope {
            context: scope.context,
            chain: Some(Rc::new(Link {
                by: element.written,
                before: scope.chain.clone(),
                length: length + 1,
            })),
            place: None,
        })
    }
}

/// About how many steps up the tree it takes to test whether an element is part of another.
const STEPS_UP: usize = 8;

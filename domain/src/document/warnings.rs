//! The warnings of a dry run: content that is valid, but probably a mistake.

use std::collections::HashSet;

use super::hydrate::{CapturedResources, HydrationError};
use super::request::{Document, Effort};
use super::tree::{Kind, NodeId};
use super::well_formed::{is_blank, trimmed};
use super::xpath::Item;

/// The maximum number of warnings for a document.
const WARNINGS_MAX: usize = 100;

impl Document {
    /// Warns about selected aliases. An alias is a reference to something else, which is not
    /// followed where the alias is selected (`docs/vnml.md`, section 4.2), so the alias comes out
    /// empty. Each alias has one warning. `None` if the search takes more than this effort.
    pub(super) fn warnings(&self, effort: Effort) -> Option<Vec<String>> {
        let nothing = CapturedResources::default();
        let mut warnings = Vec::new();
        let looked = self.hydrating(&nothing, effort, |hydrator| {
            let mut known = HashSet::new();
            for select in self.selects() {
                if warnings.len() == WARNINGS_MAX || !known.insert(select) {
                    continue;
                }
                let given = hydrator.given_by(select)?;
                let Some([Item::Node(alias)]) = given.as_deref() else {
                    continue;
                };
                warnings.extend(self.warning(select, *alias));
            }
            Ok(())
        });
        match looked {
            Err(HydrationError::TakesLonger) => None,
            // The preview of the group reports an expression that is too costly.
            Ok(()) | Err(_) => Some(warnings),
        }
    }

    /// The absolute expressions of all `select` attributes, in order.
    fn selects(&self) -> impl Iterator<Item = &str> {
        let nodes =
            std::iter::successors(Some(self.tree.root()), |node| self.tree.following(*node));
        nodes
            .filter(|node| self.tree.refers_itself(*node))
            .filter_map(|node| self.tree.attribute(node, "select"))
            .map(trimmed)
            .filter(|select| select.starts_with('/'))
    }

    fn warning(&self, select: &str, alias: NodeId) -> Option<String> {
        let own = self.tree.attribute(alias, "select").map(trimmed)?;
        let refers = self.tree.refers_itself(alias) && !own.is_empty();
        let has_content = self
            .tree
            .children(alias)
            .any(|child| match self.tree.kind(child) {
                Kind::Element => true,
                Kind::Text => !is_blank(self.tree.text(child)),
                Kind::Root | Kind::Comment | Kind::Instruction => false,
            });
        let name = self.tree.name(alias);
        (refers && !has_content).then(|| {
            format!(
                "select=\"{select}\" gives a <{name}> whose own select=\"{own}\" is not followed: it \
                 comes out empty"
            )
        })
    }
}

//! `href`: an element of another document. See `docs/vnml.md`, section 4.1.

use super::merge::{Rule, Side};
use super::piece::Element;
use super::place::Step;
use super::resources::Resource;
use super::{HydrationError, Hydrator, Resolved, Scope};
use crate::FailureCode;
use crate::document::budget::Over;
use crate::document::tree::NodeId;
use crate::document::well_formed::trimmed;

impl<'a> Hydrator<'a> {
    /// Merges an element with its counterpart in the referenced document. `scope` becomes the scope
    /// of the content that came in. If the document is not captured yet, its URI is noted, and the
    /// element continues alone.
    pub(super) fn href(
        &self,
        mut element: Box<Element<'a>>,
        scope: &mut Scope<'a>,
    ) -> Resolved<'a> {
        let Some(uri) = element.remove("href") else {
            return Ok(element);
        };
        let uri = trimmed(&uri);
        if uri.is_empty() {
            return Err(element.error(FailureCode::HydrationSyntax, "", "its href is empty"));
        }
        let Some(remote) = self.resources.get(uri) else {
            self.ask_for(&element, uri)?;
            return Ok(element);
        };
        let path = self.path(&element, scope)?;
        let counterpart = self.locate(&element, &path, remote);
        let Some(counterpart) = counterpart.map_err(|over| element.over(uri, over))? else {
            let reason = "the document there has no single counterpart of the element";
            return Err(element.error(FailureCode::HydrationNoMatch, uri, reason));
        };
        let place = scope.place.take();
        *scope = self.linked(&element, uri, scope)?;
        scope.place = place;
        let other = Element::of(&self.meter, &remote.tree, counterpart);
        let mut other = other.map_err(|over| element.over(uri, over))?;
        // The `href` of the counterpart itself is not followed.
        other.remove("href");
        let as_written = |element| Side {
            element,
            scope: None,
        };
        self.lay(as_written(element), as_written(other), Rule::Href, 0)
    }
}

impl<'a> Hydrator<'a> {
    fn ask_for(&self, element: &Element<'a>, uri: &str) -> Result<(), HydrationError> {
        let mut missing = self.missing.borrow_mut();
        let looked = self.meter.visit(missing.len());
        looked.map_err(|over| element.over(uri, over))?;
        if missing.iter().any(|known| known == uri) {
            return Ok(());
        }
        if missing.len() + self.resources.len() >= self.meter.limits.max_references {
            let limit = self.meter.limits.max_references;
            let reason = format!("the document refers to more than {limit} others");
            return Err(element.error(FailureCode::HydrationTooCostly, uri, reason));
        }
        missing.push(uri.to_owned());
        Ok(())
    }

    /// Locates the counterpart. It tries four rules, and the first that gives exactly one element
    /// wins: the element's own path, the same tag and `name`, the same tag and `id`, the only
    /// element with that tag.
    fn locate(
        &self,
        element: &Element<'_>,
        path: &[Step<'_>],
        remote: &Resource,
    ) -> Result<Option<NodeId>, Over> {
        self.meter.resolve()?;
        if let Some(found) = self.by_path(remote, path)? {
            return Ok(Some(found));
        }
        let with = |attribute: &str| {
            let wanted = element
                .attribute(attribute)
                .filter(|value| !value.is_empty())?;
            single(remote.tagged_with(element.name, element.namespace, attribute, wanted))
        };
        Ok(with("name")
            .or_else(|| with("id"))
            .or_else(|| single(remote.tagged(element.name, element.namespace))))
    }

    /// The only element at a path. A step without a position matches all siblings of its name.
    fn by_path(&self, remote: &Resource, path: &[Step<'_>]) -> Result<Option<NodeId>, Over> {
        let mut found = vec![remote.tree.root()];
        for step in path {
            let mut next = Vec::new();
            for node in found {
                let named = remote.children(node, &step.name, &step.namespace);
                if let Some(place) = step.place {
                    next.extend(named.get(place - 1));
                } else {
                    self.meter.visit(named.len())?;
                    next.extend(named);
                }
            }
            found = next;
        }
        Ok(single(&found))
    }
}

fn single(nodes: &[NodeId]) -> Option<NodeId> {
    match nodes {
        [node] => Some(*node),
        _ => None,
    }
}

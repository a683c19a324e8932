//! `href`: another document's element. See `vnml.md`, section 4.1.

use super::merge::{Rule, merge};
use super::piece::Element;
use super::place::Step;
use super::resources::Resource;
use super::{HydrationError, Hydrator, Scope};
use crate::document::tree::NodeId;

impl<'a> Hydrator<'a> {
    /// The element merged with its counterpart in the document it refers to; `scope` becomes
    /// that of what came in. What is not captured yet is noted, and the element goes on alone.
    pub(super) fn href(
        &self,
        mut element: Element<'a>,
        scope: &mut Scope<'a>,
    ) -> Result<Element<'a>, HydrationError> {
        let Some(uri) = element.remove("href") else {
            return Ok(element);
        };
        let uri = uri.trim();
        if uri.is_empty() {
            return Err(element.error("hydration-syntax", "", "its href is empty"));
        }
        let Some(remote) = self.resources.get(uri) else {
            self.ask_for(&element, uri)?;
            return Ok(element);
        };
        let path = self.path(&element, scope);
        let Some(counterpart) = locate(&element, &path, remote) else {
            let reason = "the document there has no single counterpart of the element";
            return Err(element.error("hydration-no-match", uri, reason));
        };
        let place = scope.place.take();
        *scope = self.linked(&element, uri, (&remote.tree, counterpart), scope)?;
        scope.place = place;
        let mut other = Element::of(&remote.tree, counterpart);
        // What the counterpart itself refers to is not followed.
        other.remove("href");
        Ok(merge(element, other, Rule::Href))
    }
}

impl<'a> Hydrator<'a> {
    fn ask_for(&self, element: &Element<'a>, uri: &str) -> Result<(), HydrationError> {
        let mut missing = self.missing.borrow_mut();
        if missing.iter().any(|known| known == uri) {
            return Ok(());
        }
        if missing.len() + self.resources.len() >= self.limits.max_references {
            let limit = self.limits.max_references;
            let reason = format!("the document refers to more than {limit} others");
            return Err(element.error("hydration-too-costly", uri, reason));
        }
        missing.push(uri.to_owned());
        Ok(())
    }
}

/// The first of these that gives exactly one element: the element's own path, the same tag and
/// `name`, the same tag and `id`, the only one of that tag.
fn locate(element: &Element<'_>, path: &[Step<'_>], remote: &Resource) -> Option<NodeId> {
    if let Some(found) = by_path(remote, path) {
        return Some(found);
    }
    let with = |attribute: &str| {
        let wanted = element
            .attribute(attribute)
            .filter(|value| !value.is_empty())?;
        single(remote.tagged_with(element.name, element.namespace, attribute, wanted))
    };
    with("name")
        .or_else(|| with("id"))
        .or_else(|| single(remote.tagged(element.name, element.namespace)))
}

fn single(nodes: &[NodeId]) -> Option<NodeId> {
    match nodes {
        [node] => Some(*node),
        _ => None,
    }
}

/// The one element at a path; a step without a place leaves the choice open.
fn by_path(remote: &Resource, path: &[Step<'_>]) -> Option<NodeId> {
    let mut found = vec![remote.tree.root()];
    for (name, place) in path {
        let mut next = Vec::new();
        for node in found {
            match place {
                Some(place) => next.extend(remote.child(node, name, place - 1)),
                None => next.extend(remote.children(node, name)),
            }
        }
        found = next;
    }
    single(&found)
}

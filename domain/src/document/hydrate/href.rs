//! `href`: another document's element. See `vnml.md`, section 4.1.

use super::merge::{Rule, merge};
use super::piece::Element;
use super::{HydrationError, Hydrator};
use crate::document::tree::{NodeId, Tree};

impl<'a> Hydrator<'a> {
    /// The element merged with its counterpart in the document it refers to.
    pub(super) fn href(&self, mut element: Element<'a>) -> Result<Element<'a>, HydrationError> {
        let Some(uri) = element.remove("href") else {
            return Ok(element);
        };
        if uri.trim().is_empty() {
            return Err(element.error("hydration-syntax", "", "its href is empty"));
        }
        let Some(remote) = self.resources.get(&uri) else {
            return Err(HydrationError::Missing {
                uris: vec![uri.into_owned()],
            });
        };
        let Some(counterpart) = locate(&element, remote) else {
            let reason = "the document there has no single counterpart of the element";
            return Err(element.error("hydration-no-match", uri, reason));
        };
        let mut other = Element::of(remote, counterpart);
        // What the counterpart itself refers to is not followed.
        other.remove("href");
        Ok(merge(element, other, Rule::Href))
    }
}

/// The first of these that gives exactly one element: the element's own path, the same tag and
/// `name`, the same tag and `id`, the only one of that tag.
fn locate(element: &Element<'_>, remote: &Tree) -> Option<NodeId> {
    let (tree, origin) = element.origin;
    if let Some(found) = by_path(remote, &path(tree, origin, element.name)) {
        return Some(found);
    }
    let same_tag = |node: &NodeId| {
        remote.is_element(*node)
            && remote.name(*node) == element.name
            && remote.namespace(*node) == element.namespace
    };
    let all = || {
        std::iter::successors(Some(remote.root()), |node| remote.following(*node)).filter(same_tag)
    };
    let with = |attribute: &str| {
        let wanted = element
            .attribute(attribute)
            .filter(|value| !value.is_empty())?;
        single(all().filter(|node| remote.attribute(*node, attribute) == Some(wanted)))
    };
    with("name")
        .or_else(|| with("id"))
        .or_else(|| single(all()))
}

fn single(mut nodes: impl Iterator<Item = NodeId>) -> Option<NodeId> {
    let first = nodes.next()?;
    nodes.next().is_none().then_some(first)
}

/// A step of an element's path: its name, and its place from 1 where it has siblings of that
/// name.
type Step<'a> = (&'a str, Option<usize>);

fn path<'a>(tree: &'a Tree, node: NodeId, name: &'a str) -> Vec<Step<'a>> {
    let mut steps: Vec<Step<'a>> = std::iter::successors(Some(node), |n| tree.parent(*n))
        .filter(|n| tree.is_element(*n))
        .map(|n| (tree.name(n), place(tree, n)))
        .collect();
    if let Some(own) = steps.first_mut() {
        own.0 = name;
    }
    steps.reverse();
    steps
}

fn place(tree: &Tree, node: NodeId) -> Option<usize> {
    let name = tree.name(node);
    let named = |n: &NodeId| tree.is_element(*n) && tree.name(*n) == name;
    let before = std::iter::successors(tree.previous(node), |n| tree.previous(*n)).filter(named);
    let before = before.count();
    let after = std::iter::successors(tree.next(node), |n| tree.next(*n)).any(|n| named(&n));
    (before > 0 || after).then_some(before + 1)
}

/// The one element at a path; a step without a place leaves the choice open.
fn by_path(remote: &Tree, path: &[Step<'_>]) -> Option<NodeId> {
    let mut found = vec![remote.root()];
    for (name, place) in path {
        let mut next = Vec::new();
        for node in found {
            let mut named = remote.elements_named(node, name);
            match place {
                Some(place) => next.extend(named.nth(place - 1)),
                None => next.extend(named),
            }
        }
        found = next;
    }
    single(found.into_iter())
}

//! Where elements stand: the paths by which counterparts are found.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use super::piece::{Element, Piece};
use super::{Hydrator, Scope};
use crate::document::tree::{NodeId, Tree};

/// A step of an element's path: its name, and its place from 1 where it has siblings of that
/// name.
pub(super) type Step<'a> = (Cow<'a, str>, Option<usize>);

/// Where an element stands that came in from elsewhere.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    parent: Parent<'a>,
    step: Step<'a>,
}

#[derive(Debug)]
enum Parent<'a> {
    /// An element that stands where it was written.
    Written(&'a Tree, NodeId),
    CameIn(Rc<Place<'a>>),
}

/// The places of the elements of this document that were asked for, by element.
pub(super) type Places = HashMap<NodeId, Option<usize>>;

impl<'a> Hydrator<'a> {
    /// The path of an element as it stands now.
    pub(super) fn path(&self, element: &Element<'a>, scope: &Scope<'a>) -> Vec<Step<'a>> {
        let mut steps = Vec::new();
        let mut place = scope.place.as_ref();
        let (mut tree, mut node) = (element.written.0, Some(element.written.1));
        while let Some(known) = place {
            steps.push(known.step.clone());
            place = match &known.parent {
                Parent::CameIn(parent) => Some(parent),
                Parent::Written(parent, written) => {
                    (tree, node) = (parent, Some(*written));
                    None
                }
            };
        }
        while let Some(written) = node.filter(|node| tree.is_element(*node)) {
            steps.push((tree.name(written).into(), self.place(tree, written)));
            node = tree.parent(written);
        }
        if let Some(own) = steps.first_mut() {
            own.0 = element.name.into();
        }
        steps.reverse();
        steps
    }

    /// The place of an element among its siblings of that name; those of all its siblings are
    /// found at once and kept.
    fn place(&self, tree: &'a Tree, node: NodeId) -> Option<usize> {
        if !std::ptr::eq(tree, self.tree) {
            return among(tree.parent(node).map(|parent| tree.elements(parent)), tree)
                .remove(&node)
                .flatten();
        }
        if let Some(known) = self.places.borrow().get(&node) {
            return *known;
        }
        let found = among(tree.parent(node).map(|parent| tree.elements(parent)), tree);
        let mut places = self.places.borrow_mut();
        places.extend(found);
        places.get(&node).copied().flatten()
    }

    /// The places of the children that came in from another document and refer to something.
    pub(super) fn places_of_children(
        &self,
        element: &Element<'a>,
        scope: &Scope<'a>,
    ) -> HashMap<usize, Rc<Place<'a>>> {
        let foreign = |piece: &Piece<'a>| {
            piece
                .origin()
                .is_some_and(|(tree, node)| !std::ptr::eq(tree, self.tree) && tree.refers(node))
        };
        if !element.children.iter().any(foreign) {
            return HashMap::new();
        }
        let mut totals: HashMap<&str, usize> = HashMap::new();
        let mut places = Vec::new();
        for (index, child) in element.children.iter().enumerate() {
            let Some(name) = child.name() else { continue };
            let total = totals.entry(name).or_default();
            *total += 1;
            if foreign(child) {
                places.push((index, name.to_owned(), *total));
            }
        }
        let parent = || match &scope.place {
            Some(place) => Parent::CameIn(place.clone()),
            None => Parent::Written(element.origin.0, element.origin.1),
        };
        let numbered = places.into_iter().map(|(index, name, place)| {
            let place = (totals[name.as_str()] > 1).then_some(place);
            let parent = parent();
            let step = (Cow::Owned(name), place);
            (index, Rc::new(Place { parent, step }))
        });
        numbered.collect()
    }
}

fn among(siblings: Option<impl Iterator<Item = NodeId>>, tree: &Tree) -> Places {
    let siblings: Vec<NodeId> = siblings.into_iter().flatten().collect();
    let mut totals: HashMap<&str, usize> = HashMap::new();
    let places: Vec<usize> = siblings
        .iter()
        .map(|node| {
            let total = totals.entry(tree.name(*node)).or_default();
            *total += 1;
            *total
        })
        .collect();
    let numbered = siblings.iter().zip(places).map(|(node, place)| {
        let alone = totals[tree.name(*node)] == 1;
        (*node, (!alone).then_some(place))
    });
    numbered.collect()
}

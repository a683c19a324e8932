//! The positions of elements: the paths by which counterparts are found.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use super::piece::{Element, Piece};
use super::{HydrationError, Hydrator, Scope};
use crate::document::budget::Over;
use crate::document::tree::{NodeId, Tree};
use crate::document::well_formed::local_name;

/// A step of an element's path.
#[derive(Clone, Debug)]
pub(super) struct Step<'a> {
    /// The local name.
    pub name: Cow<'a, str>,
    pub namespace: Cow<'a, str>,
    /// The position from 1, if the element has siblings of that name.
    pub place: Option<usize>,
}

/// The position of an element that came in from elsewhere.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    parent: Parent<'a>,
    step: Step<'a>,
}

#[derive(Debug)]
enum Parent<'a> {
    /// An element in the position in which it was written.
    Written(&'a Tree, NodeId),
    CameIn(Rc<Place<'a>>),
}

/// Cached positions of elements, by document and element.
pub(super) type Places = HashMap<(*const Tree, NodeId), Option<usize>>;

impl<'a> Hydrator<'a> {
    /// The path of an element in its current position.
    pub(super) fn path(
        &self,
        element: &Element<'a>,
        scope: &Scope<'a>,
    ) -> Result<Vec<Step<'a>>, HydrationError> {
        let over = |over| element.over("", over);
        let mut steps = Vec::new();
        let mut place = scope.place.as_ref();
        let (mut tree, mut node) = (element.written.0, Some(element.written.1));
        while let Some(known) = place {
            self.meter.visit(1).map_err(over)?;
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
            self.meter.visit(1).map_err(over)?;
            steps.push(Step {
                name: local_name(tree.name(written)).into(),
                namespace: tree.namespace(written).into(),
                place: self.place(tree, written).map_err(over)?,
            });
            node = tree.parent(written);
        }
        if let Some(own) = steps.first_mut() {
            own.name = local_name(element.name).into();
            own.namespace = element.namespace.into();
        }
        steps.reverse();
        Ok(steps)
    }

    /// The position of an element among its siblings of that name. One call finds and caches the
    /// positions of all its siblings.
    fn place(&self, tree: &'a Tree, node: NodeId) -> Result<Option<usize>, Over> {
        let key = |node| (std::ptr::from_ref(tree), node);
        if let Some(known) = self.places.borrow().get(&key(node)) {
            return Ok(*known);
        }
        let siblings: Vec<NodeId> = tree
            .parent(node)
            .into_iter()
            .flat_map(|parent| tree.elements(parent))
            .collect();
        self.meter.visit(siblings.len())?;
        let mut totals: HashMap<(&str, &str), usize> = HashMap::new();
        let tag = |node| (local_name(tree.name(node)), tree.namespace(node));
        let mut numbered = Vec::with_capacity(siblings.len());
        for sibling in &siblings {
            let total = totals.entry(tag(*sibling)).or_default();
            *total += 1;
            numbered.push(*total);
        }
        let mut places = self.places.borrow_mut();
        for (sibling, place) in siblings.iter().zip(numbered) {
            let place = (totals[&tag(*sibling)] > 1).then_some(place);
            places.insert(key(*sibling), place);
        }
        Ok(places.get(&key(node)).copied().flatten())
    }

    /// The positions of the children that came in from another document and have references.
    pub(super) fn places_of_children(
        &self,
        element: &Element<'a>,
        children: &[Piece<'a>],
        scope: &Scope<'a>,
    ) -> HashMap<usize, Rc<Place<'a>>> {
        let foreign = |piece: &Piece<'a>| {
            piece
                .origin()
                .is_some_and(|(tree, node)| !std::ptr::eq(tree, self.tree) && tree.refers(node))
        };
        if !children.iter().any(foreign) {
            return HashMap::new();
        }
        let mut totals: HashMap<(&str, &str), usize> = HashMap::new();
        let mut places = Vec::new();
        for (index, child) in children.iter().enumerate() {
            let Some(tag) = child.tag() else { continue };
            let total = totals.entry(tag).or_default();
            *total += 1;
            if foreign(child) {
                places.push((index, tag, *total));
            }
        }
        let parent = || match &scope.place {
            Some(place) => Parent::CameIn(place.clone()),
            None => Parent::Written(element.origin.0, element.origin.1),
        };
        let numbered = places.into_iter().map(|(index, tag, place)| {
            let step = Step {
                name: tag.0.into(),
                namespace: tag.1.into(),
                place: (totals[&tag] > 1).then_some(place),
            };
            let parent = parent();
            (index, Rc::new(Place { parent, step }))
        });
        numbered.collect()
    }
}

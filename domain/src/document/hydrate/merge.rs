//! Merges two elements, one laid over the other. See `docs/vnml.md`, section 4.5.

use std::collections::{BTreeMap, HashMap};

use super::piece::{Content, Element, MadeAttribute, Piece};
use super::{Depth, HydrationError, Hydrator, Resolved, Scope, waits};
use crate::document::budget::{Meter, Over};
use crate::document::well_formed::{self, local_name};

/// Up to this many attributes a linear search is used; for more, a map.
const FEW: usize = 16;

/// Which side supplies the name and the text of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// For the element with `href`: the other name, and the local text unless it is blank.
    Href,
    /// For the element with `select`: the other name, and the other text unless that is blank.
    Select,
    /// For descendants of either: the local name, and the local text unless it is blank.
    Child,
}

/// One of the two elements, with the scope in which to resolve its content. The scope is `None` if
/// the content needs no resolution.
pub(super) struct Side<'s, 'a> {
    pub element: Box<Element<'a>>,
    pub scope: Option<&'s Scope<'a>>,
}

impl<'a> Hydrator<'a> {
    /// The other element with the local one laid over it. Counterparts are found by the content as
    /// written. Then each side is resolved in its own scope, and the local one is laid over the
    /// other.
    pub(super) fn lay(
        &self,
        local: Side<'_, 'a>,
        other: Side<'_, 'a>,
        rule: Rule,
        level: usize,
    ) -> Resolved<'a> {
        self.check_level(&local.element, level)?;
        let (local_scope, other_scope) = (local.scope, other.scope);
        let (mut local, mut other) = (local.element, other.element);
        let over = std::mem::replace(&mut other.content, Content::Made(Vec::new()));
        let own = std::mem::replace(&mut local.content, Content::Made(Vec::new()));
        let mut merged = outline(&self.meter, local, other, rule).map_err(of_work)?;
        if own.is_empty() {
            merged.content = over;
            return match other_scope {
                Some(scope) => self.children(merged, scope, scope, Depth::Whole, level),
                None => Ok(merged),
            };
        }
        let own = Part {
            pieces: own.opened(&self.meter).map_err(of_work)?,
            scope: local_scope,
        };
        let over = Part {
            pieces: over.opened(&self.meter).map_err(of_work)?,
            scope: other_scope,
        };
        merged.content = Content::Made(self.lay_content(own, over, rule, level)?);
        Ok(merged)
    }

    fn lay_content(
        &self,
        mut local: Part<'_, 'a>,
        mut other: Part<'_, 'a>,
        rule: Rule,
        level: usize,
    ) -> Result<Vec<Piece<'a>>, HydrationError> {
        self.name_children(&mut local)?;
        self.name_children(&mut other)?;
        let local_head = head(&mut local.pieces);
        let other_head = head(&mut other.pieces);
        let local_wins = match rule {
            Rule::Href | Rule::Child => !is_blank(&local_head),
            Rule::Select => is_blank(&other_head),
        };
        let mut all = if local_wins {
            with_remarks(local_head, other_head)
        } else {
            with_remarks(other_head, local_head)
        };
        let pairs = counterparts(&local.pieces, &other.pieces);
        let mut others = runs(other.pieces);
        for (index, (piece, tail)) in runs(local.pieces) {
            let counterpart = pairs.get(&index).and_then(|at| others.remove(at));
            let Some((counterpart, other_tail)) = counterpart else {
                all.push(self.resolved(piece, local.scope, level + 1)?);
                all.extend(tail);
                continue;
            };
            let below = self.lay_child((piece, local.scope), (counterpart, other.scope), level + 1);
            all.push(Piece::Element(below?));
            // If the local child has no text after it, use the text after the counterpart.
            all.extend(if is_blank(&tail) {
                with_remarks(other_tail, tail)
            } else {
                with_remarks(tail, other_tail)
            });
        }
        for (piece, tail) in others.into_values() {
            all.push(self.resolved(piece, other.scope, level + 1)?);
            all.extend(tail);
        }
        Ok(all)
    }

    /// A child laid over its counterpart. A child with its own `select` is resolved first.
    fn lay_child(
        &self,
        (local, local_scope): (Piece<'a>, Option<&Scope<'a>>),
        (other, other_scope): (Piece<'a>, Option<&Scope<'a>>),
        level: usize,
    ) -> Resolved<'a> {
        let (local, local_scope) = self.settled(local, local_scope, level)?;
        let (other, other_scope) = self.settled(other, other_scope, level)?;
        let local = Side {
            element: local,
            scope: local_scope,
        };
        let other = Side {
            element: other,
            scope: other_scope,
        };
        self.lay(local, other, Rule::Child, level)
    }

    fn settled<'s>(
        &self,
        piece: Piece<'a>,
        scope: Option<&'s Scope<'a>>,
        level: usize,
    ) -> Result<(Box<Element<'a>>, Option<&'s Scope<'a>>), HydrationError> {
        let refers = piece.refers();
        let element = piece.into_element(&self.meter).map_err(of_work)?;
        let Some(scope) = scope.filter(|_| refers) else {
            return Ok((element, None));
        };
        if waits(&element) {
            return Ok((element, None));
        }
        let refers_itself =
            element.reference("select").is_some() || element.reference("href").is_some();
        if refers_itself {
            let element = self.element(element, scope, true, Depth::Whole, level)?;
            return Ok((element, None));
        }
        Ok((element, Some(scope)))
    }

    fn resolved(
        &self,
        piece: Piece<'a>,
        scope: Option<&Scope<'a>>,
        level: usize,
    ) -> Result<Piece<'a>, HydrationError> {
        match scope {
            Some(scope) => self.piece(piece, scope, Depth::Whole, level),
            None => Ok(piece),
        }
    }

    /// Resolves the placeholders of children before the search for counterparts, because the key of
    /// a child may be a placeholder.
    fn name_children(&self, part: &mut Part<'_, 'a>) -> Result<(), HydrationError> {
        let Some(scope) = part.scope else {
            return Ok(());
        };
        for piece in &mut part.pieces {
            let Piece::Source(tree, node) = *piece else {
                continue;
            };
            if !(tree.is_element(node) && tree.refers_itself(node)) {
                continue;
            }
            let mut element = Element::of(&self.meter, tree, node).map_err(of_work)?;
            if !waits(&element) {
                self.placeholders(&mut element, scope)?;
            }
            *piece = Piece::Element(element);
        }
        Ok(())
    }
}

struct Part<'s, 'a> {
    pieces: Vec<Piece<'a>>,
    scope: Option<&'s Scope<'a>>,
}

/// The error when merging exceeds the budget of the document.
fn of_work(over: Over) -> HydrationError {
    HydrationError::over("", "", over)
}

/// The merged element of two, without its content.
fn outline<'a>(
    meter: &Meter,
    local: Box<Element<'a>>,
    mut other: Box<Element<'a>>,
    rule: Rule,
) -> Result<Box<Element<'a>>, Over> {
    let selects = |element: &Element<'_>| element.reference("select").is_some();
    other.written = if selects(&local) || !selects(&other) {
        local.written
    } else {
        other.written
    };
    if rule != Rule::Select {
        if !std::ptr::eq(other.origin.0, local.origin.0) {
            bring_scope(&mut other);
        }
        other.origin = local.origin;
    }
    if rule == Rule::Child {
        (other.name, other.namespace) = (local.name, local.namespace);
    }
    let bytes = local.attributes.len() * size_of::<MadeAttribute<'_>>();
    meter.make(local.attributes.len() + other.attributes.len(), bytes)?;
    lay_attributes(&mut other.attributes, local.attributes);
    if other.attributes.len() > meter.limits.max_attributes {
        return Err(Over::Attributes(meter.limits.max_attributes as u64));
    }
    Ok(other)
}

/// Declares the namespaces in scope around an element of another document. Its attribute values and
/// its text may use those prefixes.
fn bring_scope(element: &mut Element<'_>) {
    let (tree, node) = element.origin;
    for (name, value) in tree.in_scope(node) {
        if element.attribute(name).is_none() {
            element.attributes.push(MadeAttribute {
                name,
                namespace: "",
                value: value.into(),
                placed: false,
            });
        }
    }
}

fn lay_attributes<'a>(attributes: &mut Vec<MadeAttribute<'a>>, local: Vec<MadeAttribute<'a>>) {
    if attributes.len() <= FEW {
        for attribute in local {
            match attributes.iter_mut().find(|a| key(a) == key(&attribute)) {
                Some(same) => same.take_value_of(attribute),
                None => attributes.push(attribute),
            }
        }
        return;
    }
    let places = attributes.iter().enumerate();
    let places: HashMap<_, _> = places.map(|(place, a)| (key(a), place)).collect();
    for attribute in local {
        match places.get(&key(&attribute)) {
            Some(place) => attributes[*place].take_value_of(attribute),
            None => attributes.push(attribute),
        }
    }
}

/// The key of an attribute: its local name and namespace, whatever its prefix.
fn key<'a>(attribute: &MadeAttribute<'a>) -> (&'a str, &'a str) {
    if attribute.namespace.is_empty() {
        (attribute.name, "")
    } else {
        (local_name(attribute.name), attribute.namespace)
    }
}

/// Child elements by index, each with the content that follows it up to the next one.
type Runs<'a> = BTreeMap<usize, (Piece<'a>, Vec<Piece<'a>>)>;

fn runs(pieces: Vec<Piece<'_>>) -> Runs<'_> {
    let mut runs: Runs<'_> = BTreeMap::new();
    for (index, piece) in pieces.into_iter().enumerate() {
        match runs.last_entry() {
            Some(mut last) if !piece.is_element() => last.get_mut().1.push(piece),
            _ => {
                runs.insert(index, (piece, Vec::new()));
            }
        }
    }
    runs
}

/// Removes the content before the first child element: the element's text, and comments.
fn head<'a>(pieces: &mut Vec<Piece<'a>>) -> Vec<Piece<'a>> {
    let end = pieces.iter().position(Piece::is_element);
    pieces.drain(..end.unwrap_or(pieces.len())).collect()
}

/// A text with its own comments, and with those of the text that it replaces.
fn with_remarks<'a>(mut text: Vec<Piece<'a>>, other: Vec<Piece<'a>>) -> Vec<Piece<'a>> {
    text.extend(other.into_iter().filter(|piece| piece.text().is_none()));
    text
}

fn is_blank(pieces: &[Piece<'_>]) -> bool {
    pieces
        .iter()
        .all(|piece| piece.text().is_none_or(well_formed::is_blank))
}

/// The key by which the search finds the counterpart of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key<'k> {
    Name(&'k str),
    Id(&'k str),
    Neither,
}

/// For each local child its counterpart, by index, each taken once. The search has three passes:
/// first the same tag and `name`; then, among the rest, the same tag and `id`; then, for children
/// with neither, the next one with the same tag.
fn counterparts(local: &[Piece<'_>], other: &[Piece<'_>]) -> HashMap<usize, usize> {
    if !local.iter().any(Piece::is_element) {
        return HashMap::new();
    }
    let mut pairs = HashMap::new();
    let mut taken = vec![false; other.len()];
    for pass in [by_name, by_id, by_neither] {
        let mut places: HashMap<((&str, &str), Key<'_>), Vec<usize>> = HashMap::new();
        for (index, piece) in other.iter().enumerate().rev() {
            if taken[index] {
                continue;
            }
            if let (Some(tag), Some(key)) = (piece.tag(), pass(piece)) {
                places.entry((tag, key)).or_default().push(index);
            }
        }
        for (index, piece) in local.iter().enumerate() {
            if pairs.contains_key(&index) {
                continue;
            }
            let (Some(tag), Some(key)) = (piece.tag(), pass(piece)) else {
                continue;
            };
            if let Some(found) = places.get_mut(&(tag, key)).and_then(Vec::pop) {
                taken[found] = true;
                pairs.insert(index, found);
            }
        }
    }
    pairs
}

fn by_name<'k>(piece: &'k Piece<'_>) -> Option<Key<'k>> {
    piece.attribute("name").map(Key::Name)
}

fn by_id<'k>(piece: &'k Piece<'_>) -> Option<Key<'k>> {
    piece.attribute("id").map(Key::Id)
}

fn by_neither<'k>(piece: &'k Piece<'_>) -> Option<Key<'k>> {
    let neither = piece.attribute("name").is_none() && piece.attribute("id").is_none();
    neither.then_some(Key::Neither)
}

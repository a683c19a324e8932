//! Merging a local element with another. See `vnml.md`, section 4.5.

use std::collections::HashMap;

use super::piece::{Element, Piece};

/// Whose text stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// The local one, unless it is blank.
    Href,
    /// The other's, unless it has none.
    Select,
}

/// The other element, with the local one laid over it. Its depth is bounded by that of the two.
pub(super) fn merge<'a>(local: Element<'a>, other: Element<'a>, rule: Rule) -> Element<'a> {
    let mut attributes = other.attributes;
    for attribute in local.attributes {
        let same = attributes
            .iter_mut()
            .find(|a| a.name == attribute.name && a.namespace == attribute.namespace);
        match same {
            Some(same) => same.value = attribute.value,
            None => attributes.push(attribute),
        }
    }
    Element {
        name: other.name,
        namespace: other.namespace,
        attributes,
        children: children(local.children, other.children, rule),
        origin: match rule {
            Rule::Href => local.origin,
            Rule::Select => other.origin,
        },
    }
}

fn children<'a>(
    mut local: Vec<Piece<'a>>,
    mut other: Vec<Piece<'a>>,
    rule: Rule,
) -> Vec<Piece<'a>> {
    let local_text = leading_text(&mut local);
    let other_text = leading_text(&mut other);
    let mut all = match rule {
        Rule::Href if !is_blank(&local_text) => local_text,
        Rule::Select if is_blank(&other_text) => local_text,
        Rule::Href | Rule::Select => other_text,
    };
    let pairs = counterparts(&local, &other);
    let mut other: Vec<Option<Piece<'a>>> = other.into_iter().map(Some).collect();
    // The text after a child goes where the child goes.
    let mut taken = false;
    let mut claimed = vec![false; other.len()];
    for claim in pairs.values() {
        claimed[*claim] = true;
    }
    for (index, piece) in local.into_iter().enumerate() {
        let counterpart = pairs.get(&index).and_then(|at| other[*at].take());
        all.push(match counterpart {
            Some(counterpart) => merged(piece, counterpart, rule),
            None => piece,
        });
    }
    for (piece, claimed) in other.into_iter().zip(claimed) {
        match piece {
            None => taken = true,
            Some(piece) if piece.text().is_some() && taken => {}
            Some(piece) => {
                taken = claimed;
                all.push(piece);
            }
        }
    }
    all
}

fn merged<'a>(local: Piece<'a>, other: Piece<'a>, rule: Rule) -> Piece<'a> {
    match (local.into_element(), other.into_element()) {
        (Ok(local), Ok(other)) => Piece::Element(Box::new(merge(local, other, rule))),
        (Ok(local), Err(_)) => Piece::Element(Box::new(local)),
        (Err(piece), _) => piece,
    }
}

/// Takes the text before the first child off.
fn leading_text<'a>(pieces: &mut Vec<Piece<'a>>) -> Vec<Piece<'a>> {
    let end = pieces
        .iter()
        .position(|piece| piece.text().is_none())
        .unwrap_or(pieces.len());
    pieces.drain(..end).collect()
}

fn is_blank(text: &[Piece<'_>]) -> bool {
    text.iter()
        .all(|piece| piece.text().is_none_or(|text| text.trim().is_empty()))
}

/// What a child is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key<'k> {
    Name(&'k str),
    Id(&'k str),
    Neither,
}

/// For each local child its counterpart, by index: same tag and `name`, else same tag and `id`,
/// else the next of the same tag that has neither. Each is taken once.
fn counterparts(local: &[Piece<'_>], other: &[Piece<'_>]) -> HashMap<usize, usize> {
    if !local.iter().any(Piece::is_element) {
        return HashMap::new();
    }
    let mut places: HashMap<((&str, &str), Key<'_>), Vec<usize>> = HashMap::new();
    for (index, piece) in other.iter().enumerate().rev() {
        let Some(tag) = piece.tag() else { continue };
        for key in keys(piece) {
            places.entry((tag, key)).or_default().push(index);
        }
    }
    let mut pairs = HashMap::new();
    let mut taken = vec![false; other.len()];
    for (index, piece) in local.iter().enumerate() {
        let Some(tag) = piece.tag() else { continue };
        let found = keys(piece).find_map(|key| {
            let candidates = places.get_mut(&(tag, key))?;
            while let Some(candidate) = candidates.pop() {
                if !std::mem::replace(&mut taken[candidate], true) {
                    return Some(candidate);
                }
            }
            None
        });
        if let Some(found) = found {
            pairs.insert(index, found);
        }
    }
    pairs
}

fn keys<'k>(piece: &'k Piece<'_>) -> impl Iterator<Item = Key<'k>> {
    let name = piece.attribute("name").map(Key::Name);
    let id = piece.attribute("id").map(Key::Id);
    let neither = (name.is_none() && id.is_none()).then_some(Key::Neither);
    name.into_iter().chain(id).chain(neither)
}

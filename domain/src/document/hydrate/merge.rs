//! Merging a local element with another. See `vnml.md`, section 4.5.

use std::collections::{BTreeMap, HashMap};

use super::piece::{Element, MadeAttribute, Piece};
use crate::document::well_formed::{self, local_name};

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
    let written = if local.attribute("select").is_some() || other.attribute("select").is_none() {
        local.written
    } else {
        other.written
    };
    let mut attributes = other.attributes;
    for attribute in local.attributes {
        let same = attributes
            .iter_mut()
            .find(|known| is_same(known, &attribute));
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
        written,
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
    let mut other = runs(other);
    let mut local = local.into_iter().enumerate().peekable();
    while let Some((index, piece)) = local.next() {
        let counterpart = pairs.get(&index).and_then(|at| other.remove(at));
        let Some((counterpart, tail)) = counterpart else {
            all.push(piece);
            continue;
        };
        all.push(merged(piece, counterpart, rule));
        // The text after the counterpart stands in where the local child has none after it.
        let mut own = Vec::new();
        while let Some((_, text)) = local.next_if(|(_, piece)| piece.text().is_some()) {
            own.push(text);
        }
        all.extend(if is_blank(&own) { tail } else { own });
    }
    for (piece, tail) in other.into_values() {
        all.push(piece);
        all.extend(tail);
    }
    all
}

/// Children by index, each with the text after it.
type Runs<'a> = BTreeMap<usize, (Piece<'a>, Vec<Piece<'a>>)>;

fn runs(pieces: Vec<Piece<'_>>) -> Runs<'_> {
    let mut runs: Runs<'_> = BTreeMap::new();
    for (index, piece) in pieces.into_iter().enumerate() {
        match runs.last_entry() {
            Some(mut last) if piece.text().is_some() => last.get_mut().1.push(piece),
            _ => {
                runs.insert(index, (piece, Vec::new()));
            }
        }
    }
    runs
}

fn is_same(a: &MadeAttribute<'_>, b: &MadeAttribute<'_>) -> bool {
    let prefixed = !a.namespace.is_empty() && a.namespace == b.namespace;
    a.name == b.name && a.namespace == b.namespace
        || prefixed && local_name(a.name) == local_name(b.name)
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
        .all(|piece| piece.text().is_none_or(well_formed::is_blank))
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

//! The limits on the structure of a request: groups, names and references.

use super::limits::Limits;
use super::refusal::{Cause, Refusal};
use super::tree::{NodeId, Tree};
use super::well_formed::trimmed;

/// Refuses a document with too many groups, or with names or references that are too long.
pub(super) fn check(tree: &Tree, groups: &[NodeId], limits: &Limits) -> Result<(), Refusal> {
    if groups.len() > limits.max_groups {
        return Err(over(
            "groups",
            groups.len(),
            limits.max_groups,
            "max-groups",
        ));
    }
    let mut labels = 0;
    for group in groups {
        labels += label(tree, *group, limits)?;
        if labels > limits.max_labels_bytes {
            let most = limits.max_labels_bytes;
            return Err(over(
                "bytes of names of groups",
                labels,
                most,
                "max-labels-bytes",
            ));
        }
        for valuation in tree.elements_named(*group, "valuation") {
            label(tree, valuation, limits)?;
        }
    }
    if tree.has_hrefs() {
        references(tree, limits)?;
    }
    Ok(())
}

/// The length of an element's name, in bytes.
fn label(tree: &Tree, element: NodeId, limits: &Limits) -> Result<usize, Refusal> {
    let bytes = tree.attribute(element, "name").map_or(0, str::len);
    if bytes > limits.max_label_bytes {
        let what = format!("bytes of the name of a {}", tree.name(element));
        return Err(over(
            &what,
            bytes,
            limits.max_label_bytes,
            "max-label-bytes",
        ));
    }
    Ok(bytes)
}

fn references(tree: &Tree, limits: &Limits) -> Result<(), Refusal> {
    let all = std::iter::successors(Some(tree.root()), |node| tree.following(*node));
    let uris = all
        .filter(|node| tree.refers_itself(*node))
        .filter_map(|node| tree.attribute(node, "href"));
    match uris
        .map(trimmed)
        .map(str::len)
        .find(|bytes| *bytes > limits.max_uri_bytes)
    {
        None => Ok(()),
        Some(bytes) => Err(over(
            "bytes of an href",
            bytes,
            limits.max_uri_bytes,
            "max-uri-bytes",
        )),
    }
}

fn over(what: &str, found: usize, limit: usize, name: &str) -> Refusal {
    let reason = format!("the document has {found} {what}; at most {limit} are accepted ({name})");
    Refusal::new(Cause::Limit, reason)
}

//! The form in which documents are compared: attributes sorted, whitespace-only text dropped,
//! comments kept.

use std::borrow::Cow;

use super::parse::parse;
use super::tree::{AttributeRef, Kind, NodeId, Tree};
use super::well_formed::is_blank;
use super::write::{Writer, Written};
use super::{Limits, Refusal};

/// The canonical form of a document: two documents that differ only in indentation, the order
/// of attributes, quotes, CDATA or empty-element tags have the same.
pub fn canonicalize(xml: &[u8], limits: &Limits) -> Result<String, Refusal> {
    Ok(of(&parse(xml, limits)?))
}

pub(crate) fn of(tree: &Tree) -> String {
    let mut writer = Writer::default();
    node(&mut writer, tree, tree.root());
    writer.text
}

fn written(attribute: AttributeRef<'_>) -> Written<'_> {
    Written {
        name: attribute.name,
        namespace: attribute.namespace,
        value: Cow::Borrowed(attribute.value),
    }
}

fn node(writer: &mut Writer, tree: &Tree, id: NodeId) {
    match tree.kind(id) {
        Kind::Text if is_blank(tree.text(id)) => {}
        Kind::Root => {
            for child in tree.children(id) {
                node(writer, tree, child);
            }
        }
        Kind::Element => {
            let (name, namespace) = (tree.name(id), tree.namespace(id));
            if tree.attribute_count(id) < 2 {
                writer.open(name, namespace, tree.attributes(id).map(written));
            } else {
                let mut attributes: Vec<_> = tree.attributes(id).collect();
                attributes.sort_unstable_by_key(|attribute| (attribute.namespace, attribute.name));
                writer.open(name, namespace, attributes.into_iter().map(written));
            }
            writer.content();
            for child in tree.children(id) {
                node(writer, tree, child);
            }
            writer.close(tree.name(id));
        }
        Kind::Text | Kind::Comment | Kind::Instruction => writer.node(tree, id),
    }
}

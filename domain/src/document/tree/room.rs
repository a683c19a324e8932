//! Reserves memory in a tree in one step, for content that is about to come.

use super::Tree;

/// The most memory that is reserved for expected content.
const ROOM_MAX_BYTES: usize = 256 * 1024 * 1024;
/// A node or an attribute seldom takes fewer bytes of XML.
const LEAST_BYTES: usize = 4;
/// From this size on, the nodes of a document are counted before it is parsed.
const LARGE_BYTES: usize = 64 * 1024;
/// About how many bytes of XML a node takes in a small document.
const BYTES_PER_NODE: usize = 12;
/// For how many nodes, bytes of text and names a small document reserves room at most.
const SMALL_NODES: usize = 64;
const SMALL_TEXT: usize = 1_024;
const SMALL_NAMES: usize = 16;

impl Tree {
    /// A tree with room for this XML, and for at most `most` nodes. A large tree that grows by
    /// doubling would temporarily take three times the memory that it needs.
    pub fn with_room_for(xml: &str, most: usize) -> Self {
        let mut tree = Self::new();
        if xml.len() >= LARGE_BYTES {
            let (nodes, attributes) = sizes(xml);
            let most = most.min(xml.len() / LEAST_BYTES);
            tree.nodes.reserve_exact(nodes.min(most));
            tree.attributes.reserve_exact(attributes.min(most));
        } else {
            // Most small documents then need no further memory.
            tree.nodes
                .reserve(SMALL_NODES.min(xml.len() / BYTES_PER_NODE));
            tree.text.reserve(SMALL_TEXT.min(xml.len() / 2));
            tree.names.reserve(SMALL_NAMES);
        }
        tree
    }

    /// Reserves room for this many copies of a tree. It does nothing if that is little, or so much
    /// that the copies may never come.
    pub fn make_room_for(&mut self, copies: usize, of: &Self) {
        let bytes = size_of_val(&*of.nodes) + size_of_val(&*of.attributes) + of.text.len();
        if (LARGE_BYTES..ROOM_MAX_BYTES).contains(&copies.saturating_mul(bytes)) {
            self.nodes.reserve_exact(copies * of.nodes.len());
            self.attributes.reserve_exact(copies * of.attributes.len());
            self.text.reserve_exact(copies * of.text.len());
        }
    }
}

/// The approximate number of nodes and attributes in this XML, seldom too low.
fn sizes(xml: &str) -> (usize, usize) {
    let bytes = xml.as_bytes();
    let begins = |at: usize| {
        let tag = usize::from(bytes.get(at + 1) != Some(&b'/'));
        // A text ends at a tag that does not directly follow another tag.
        let text = usize::from(at > 0 && bytes[at - 1] != b'>');
        tag + text
    };
    let nodes = xml.match_indices('<').map(|(at, _)| begins(at)).sum();
    let quoted = |at: &usize| matches!(bytes.get(at + 1), Some(b'"' | b'\''));
    let equals = xml.match_indices('=').map(|(at, _)| at);
    (nodes, equals.filter(quoted).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Limits;
    use crate::document::parse::parse;

    #[test]
    fn room_for_the_nodes_of_a_large_document_is_reserved_exactly() {
        let xml = "<a><b x=\"1\" y='2'/>text<!-- c --><d>t</d></a>";
        assert_eq!(sizes(xml), (6, 2));
        let large = format!("<a>{}</a>", "<b x=\"1\">t</b>".repeat(10_000));
        let tree = parse(large.as_bytes(), &Limits::default());
        let tree = tree.unwrap();
        assert!(tree.nodes.capacity() < tree.nodes.len() + 8);
        assert!(tree.attributes.capacity() < tree.attributes.len() + 8);
    }
}

//! Room in a tree for what is about to come, made once.

use super::Tree;

/// The most room that is made for what is expected.
const ROOM_MAX_BYTES: usize = 256 * 1024 * 1024;
/// A node or an attribute seldom has fewer bytes.
const LEAST_BYTES: usize = 4;
/// The size from which on it is counted beforehand what a document has.
const LARGE_BYTES: usize = 64 * 1024;

impl Tree {
    /// One with room for this XML, for `most` nodes at the most: a large one that grows by
    /// doubling would for a while take three times what it needs.
    pub fn with_room_for(xml: &str, most: usize) -> Self {
        let mut tree = Self::new();
        if xml.len() >= LARGE_BYTES {
            let (nodes, attributes) = sizes(xml);
            let most = most.min(xml.len() / LEAST_BYTES);
            tree.nodes.reserve_exact(nodes.min(most));
            tree.attributes.reserve_exact(attributes.min(most));
        }
        tree
    }

    /// Makes room for so many copies of a tree, where that is much; not for what may never come.
    pub fn make_room_for(&mut self, copies: usize, of: &Self) {
        let bytes = size_of_val(&*of.nodes) + size_of_val(&*of.attributes) + of.text.len();
        if (LARGE_BYTES..ROOM_MAX_BYTES).contains(&copies.saturating_mul(bytes)) {
            self.nodes.reserve_exact(copies * of.nodes.len());
            self.attributes.reserve_exact(copies * of.attributes.len());
            self.text.reserve_exact(copies * of.text.len());
        }
    }
}

/// About how many nodes and attributes there are in this XML, and seldom fewer.
fn sizes(xml: &str) -> (usize, usize) {
    let bytes = xml.as_bytes();
    let begins = |at: usize| {
        let tag = usize::from(bytes.get(at + 1) != Some(&b'/'));
        // A text ends where a tag begins that does not follow another.
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
    fn what_a_large_document_has_is_counted_beforehand() {
        let xml = "<a><b x=\"1\" y='2'/>text<!-- c --><d>t</d></a>";
        assert_eq!(sizes(xml), (6, 2));
        let large = format!("<a>{}</a>", "<b x=\"1\">t</b>".repeat(10_000));
        let tree = parse(large.as_bytes(), &Limits::default());
        let tree = tree.unwrap();
        assert!(tree.nodes.capacity() < tree.nodes.len() + 8);
        assert!(tree.attributes.capacity() < tree.attributes.len() + 8);
    }
}

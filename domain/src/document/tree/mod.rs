//! The arena that holds a document: nodes, attributes and text in three vectors, with interned
//! names.

mod build;
mod room;
mod walk;

use std::collections::HashMap;
use std::sync::OnceLock;

/// A node of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeId(u32);

/// A name of a [`Tree`] as written, with its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NameId(u32);

impl NameId {
    /// The empty name, which is the first name of every tree.
    pub const EMPTY: Self = Self(0);
}

/// Up to this many names a linear search is used; for more, a hash map.
const FEW_NAMES: usize = 24;

/// The approximate memory of a name in addition to its text, in the list and in the map.
const NAME_BYTES: usize = 64;

/// No node: the end of a chain of siblings.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Root,
    Element,
    Text,
    Comment,
    Instruction,
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    len: u32,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    kind: Kind,
    /// Whether the node itself has references.
    refers_itself: bool,
    /// Whether any descendant has references.
    refers_below: bool,
    /// The name of an element, or the target of an instruction.
    name: NameId,
    /// The name of the namespace; the empty name for none.
    namespace: NameId,
    parent: u32,
    first: u32,
    last: u32,
    next: u32,
    previous: u32,
    /// The attributes of an element, or the text of a text or comment, or the data of an
    /// instruction.
    span: Span,
}

#[derive(Clone, Copy, Debug)]
struct Attribute {
    name: NameId,
    namespace: NameId,
    value: Span,
}

/// An attribute as it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttributeRef<'a> {
    pub name: &'a str,
    pub namespace: &'a str,
    pub value: &'a str,
}

#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    attributes: Vec<Attribute>,
    text: String,
    names: Vec<Box<str>>,
    /// The names by text, in a tree that has more than a few.
    by_name: HashMap<Box<str>, NameId>,
    /// Whether any element may have an `href` that is a reference.
    hrefs: bool,
    /// Whether any element may declare a namespace.
    declares: bool,
    /// Whether nodes were added or removed after parsing. Ids are then not in document order.
    edited: bool,
    order: OnceLock<Vec<u32>>,
}

impl Tree {
    pub fn new() -> Self {
        let mut tree = Self::default();
        tree.intern("");
        tree.push(Kind::Root, NameId(0), Span::default());
        tree
    }

    #[allow(clippy::unused_self)] // It is the root of this tree, whatever its number.
    pub fn root(&self) -> NodeId {
        NodeId(0)
    }

    pub fn len(&self) -> usize {
        self.nodes.len() + self.attributes.len()
    }

    /// The approximate memory of the tree, in bytes.
    pub fn bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + self.attributes.capacity() * size_of::<Attribute>()
            + self.text.capacity()
            + self
                .names
                .iter()
                .map(|name| NAME_BYTES + name.len())
                .sum::<usize>()
    }

    /// The size of all text and attribute values, in bytes.
    pub fn text_len(&self) -> usize {
        self.text.len()
    }

    pub fn intern(&mut self, name: &str) -> NameId {
        if let Some(id) = self.find_name(name) {
            return id;
        }
        let id = NameId(count(self.names.len()));
        self.names.push(name.into());
        if self.names.len() > FEW_NAMES {
            let new = self.names.iter().zip((0..).map(NameId));
            let new = new.skip(self.by_name.len());
            self.by_name
                .extend(new.map(|(name, id)| (name.clone(), id)));
        }
        id
    }

    pub fn find_name(&self, name: &str) -> Option<NameId> {
        if self.names.len() > FEW_NAMES {
            return self.by_name.get(name).copied();
        }
        let at = self.names.iter().position(|known| **known == *name)?;
        Some(NameId(count(at)))
    }

    fn push(&mut self, kind: Kind, name: NameId, span: Span) -> NodeId {
        let id = NodeId(count(self.nodes.len()));
        self.nodes.push(Node {
            kind,
            refers_itself: false,
            refers_below: false,
            name,
            namespace: NameId(0),
            parent: NONE,
            first: NONE,
            last: NONE,
            next: NONE,
            previous: NONE,
            span,
        });
        id
    }

    fn store(&mut self, text: &str) -> Span {
        let start = count(self.text.len());
        self.text.push_str(text);
        Span {
            start,
            len: count(text.len()),
        }
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }

    fn slice(&self, span: Span) -> &str {
        let start = span.start as usize;
        &self.text[start..start + span.len as usize]
    }

    pub fn kind(&self, id: NodeId) -> Kind {
        self.node(id).kind
    }

    pub fn is_element(&self, id: NodeId) -> bool {
        self.kind(id) == Kind::Element
    }

    pub fn has_hrefs(&self) -> bool {
        self.hrefs
    }

    /// Returns whether the node, or a descendant, has references.
    pub fn refers(&self, id: NodeId) -> bool {
        let node = self.node(id);
        node.refers_itself || node.refers_below
    }

    pub fn refers_itself(&self, id: NodeId) -> bool {
        self.node(id).refers_itself
    }

    pub fn refers_below(&self, id: NodeId) -> bool {
        self.node(id).refers_below
    }

    pub fn name_id(&self, id: NodeId) -> NameId {
        self.node(id).name
    }

    pub fn name(&self, id: NodeId) -> &str {
        &self.names[self.node(id).name.0 as usize]
    }

    pub fn namespace(&self, id: NodeId) -> &str {
        &self.names[self.node(id).namespace.0 as usize]
    }

    /// The text of a node that is neither an element nor the root.
    pub fn text(&self, id: NodeId) -> &str {
        match self.kind(id) {
            Kind::Root | Kind::Element => "",
            Kind::Text | Kind::Comment | Kind::Instruction => self.slice(self.node(id).span),
        }
    }

    pub fn attributes(&self, id: NodeId) -> impl Iterator<Item = AttributeRef<'_>> + '_ {
        (0..self.attribute_count(id)).map(move |index| self.attribute_at(id, index))
    }

    pub fn attribute_count(&self, id: NodeId) -> usize {
        if self.is_element(id) {
            self.node(id).span.len as usize
        } else {
            0
        }
    }

    pub fn attribute_at(&self, id: NodeId, index: usize) -> AttributeRef<'_> {
        let start = self.node(id).span.start as usize;
        let attribute = &self.attributes[start + index];
        AttributeRef {
            name: &self.names[attribute.name.0 as usize],
            namespace: &self.names[attribute.namespace.0 as usize],
            value: self.slice(attribute.value),
        }
    }

    pub fn attribute(&self, id: NodeId, name: &str) -> Option<&str> {
        self.attributes(id)
            .find(|attribute| attribute.name == name)
            .map(|attribute| attribute.value)
    }

    /// The child elements with this name and no namespace.
    pub fn elements_named<'a>(
        &'a self,
        id: NodeId,
        name: &'a str,
    ) -> impl Iterator<Item = NodeId> + 'a {
        self.elements(id)
            .filter(move |child| self.is_named(*child, name))
    }

    /// Returns whether the node is an element with this name and no namespace.
    pub fn is_named(&self, id: NodeId, name: &str) -> bool {
        self.is_element(id) && self.node(id).namespace == NameId::EMPTY && self.name(id) == name
    }
}

/// Returns whether an attribute is a reference.
pub(crate) fn is_reference(name: &str, value: &str) -> bool {
    matches!(name, "href" | "select" | "use") || value.starts_with("${select(")
}

fn some(raw: u32) -> Option<NodeId> {
    (raw != NONE).then_some(NodeId(raw))
}

/// The limits on documents keep sizes far below 2^32.
fn count(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(NONE - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_keeps_one_id_however_many_names_there_are() {
        let mut tree = Tree::new();
        let names: Vec<String> = (0..2 * FEW_NAMES).map(|n| format!("n{n}")).collect();
        let mut ids = Vec::new();
        for name in &names {
            ids.push(tree.intern(name));
            for (name, id) in names.iter().zip(&ids) {
                assert_eq!(tree.find_name(name), Some(*id));
            }
        }
        let again: Vec<NameId> = names.iter().map(|name| tree.intern(name)).collect();
        assert_eq!(again, ids);
        assert_eq!(tree.find_name(""), Some(NameId::EMPTY));
        assert_eq!(tree.find_name("other"), None);
    }
}

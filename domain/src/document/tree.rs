//! The arena a document lives in: nodes, attributes and text in three vectors, names interned.

use std::collections::HashMap;
use std::sync::OnceLock;

/// A node of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeId(u32);

/// A name of a [`Tree`], as it is written, with its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NameId(u32);

impl NameId {
    /// The empty name, which every tree has first.
    pub const EMPTY: Self = Self(0);
}

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
    /// Whether it, or anything below it, refers to something.
    refers: bool,
    /// An element's name; an instruction's target.
    name: NameId,
    /// The name of its namespace; the empty name for none.
    namespace: NameId,
    parent: u32,
    first: u32,
    last: u32,
    next: u32,
    previous: u32,
    /// Text, comment, or an instruction's data.
    text: Span,
    attributes: Span,
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
    by_name: HashMap<Box<str>, NameId>,
    /// Whether any element ever had an attribute `href`.
    hrefs: bool,
    /// Nodes were added or taken out since it was parsed, so that ids are no document order.
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

    pub fn intern(&mut self, name: &str) -> NameId {
        if let Some(id) = self.by_name.get(name) {
            return *id;
        }
        let id = NameId(count(self.names.len()));
        self.names.push(name.into());
        self.by_name.insert(name.into(), id);
        id
    }

    pub fn find_name(&self, name: &str) -> Option<NameId> {
        self.by_name.get(name).copied()
    }

    fn push(&mut self, kind: Kind, name: NameId, text: Span) -> NodeId {
        let id = NodeId(count(self.nodes.len()));
        self.nodes.push(Node {
            kind,
            refers: false,
            name,
            namespace: NameId(0),
            parent: NONE,
            first: NONE,
            last: NONE,
            next: NONE,
            previous: NONE,
            text,
            attributes: Span::default(),
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

    pub fn append_element(&mut self, parent: NodeId, name: &str) -> NodeId {
        let name = self.intern(name);
        let id = self.push(Kind::Element, name, Span::default());
        self.node_mut(id).attributes.start = count(self.attributes.len());
        self.link_last(parent, id);
        id
    }

    /// Appends text; pieces that follow each other are one text.
    pub fn append_text(&mut self, parent: NodeId, text: &str) {
        if text.is_empty() {
            return;
        }
        let last = self.node(parent).last;
        let end = count(self.text.len());
        let joins = last != NONE && {
            let node = &self.nodes[last as usize];
            node.kind == Kind::Text && node.text.start + node.text.len == end
        };
        let span = self.store(text);
        if joins {
            self.nodes[last as usize].text.len += span.len;
            return;
        }
        let id = self.push(Kind::Text, NameId(0), span);
        self.link_last(parent, id);
    }

    pub fn append_comment(&mut self, parent: NodeId, text: &str) {
        let span = self.store(text);
        let id = self.push(Kind::Comment, NameId(0), span);
        self.link_last(parent, id);
    }

    pub fn append_instruction(&mut self, parent: NodeId, target: &str, data: &str) {
        let name = self.intern(target);
        let span = self.store(data);
        let id = self.push(Kind::Instruction, name, span);
        self.link_last(parent, id);
    }

    /// Adds an attribute to the element that was appended last.
    pub fn add_attribute(&mut self, element: NodeId, name: &str, value: &str) {
        self.hrefs |= name == "href";
        let name = self.intern(name);
        let value = self.store(value);
        self.attributes.push(Attribute {
            name,
            namespace: NameId(0),
            value,
        });
        self.node_mut(element).attributes.len += 1;
    }

    pub fn set_namespace(&mut self, element: NodeId, namespace: NameId) {
        self.node_mut(element).namespace = namespace;
    }

    pub fn set_attribute_namespace(&mut self, element: NodeId, index: usize, namespace: NameId) {
        let start = self.node(element).attributes.start as usize;
        self.attributes[start + index].namespace = namespace;
    }

    fn link_last(&mut self, parent: NodeId, id: NodeId) {
        let last = self.node(parent).last;
        self.node_mut(id).parent = parent.0;
        self.node_mut(id).previous = last;
        if last == NONE {
            self.node_mut(parent).first = id.0;
        } else {
            self.nodes[last as usize].next = id.0;
        }
        self.node_mut(parent).last = id.0;
    }

    /// Takes a node out of its place, with all below it.
    pub fn unlink(&mut self, id: NodeId) {
        let Node {
            parent,
            next,
            previous,
            ..
        } = *self.node(id);
        match previous {
            NONE if parent != NONE => self.nodes[parent as usize].first = next,
            NONE => {}
            previous => self.nodes[previous as usize].next = next,
        }
        match next {
            NONE if parent != NONE => self.nodes[parent as usize].last = previous,
            NONE => {}
            next => self.nodes[next as usize].previous = previous,
        }
        let node = self.node_mut(id);
        (node.parent, node.next, node.previous) = (NONE, NONE, NONE);
        self.touch();
    }

    /// Appends a copy of another tree's node, with all below it. Gives the copy.
    pub fn graft(&mut self, parent: NodeId, other: &Tree, node: NodeId) -> Option<NodeId> {
        self.touch();
        // Depth is bounded by the parser, so recursion is too.
        match other.kind(node) {
            Kind::Root => None,
            Kind::Text => {
                self.append_text(parent, other.text(node));
                None
            }
            Kind::Comment => {
                self.append_comment(parent, other.text(node));
                None
            }
            Kind::Instruction => {
                self.append_instruction(parent, other.name(node), other.text(node));
                None
            }
            Kind::Element => {
                let copy = self.append_element(parent, other.name(node));
                let namespace = self.intern(other.namespace(node));
                self.set_namespace(copy, namespace);
                for (index, attribute) in other.attributes(node).enumerate() {
                    self.add_attribute(copy, attribute.name, attribute.value);
                    let namespace = self.intern(attribute.namespace);
                    self.set_attribute_namespace(copy, index, namespace);
                }
                for child in other.children(node) {
                    self.graft(copy, other, child);
                }
                self.node_mut(copy).refers = other.node(node).refers;
                Some(copy)
            }
        }
    }

    fn touch(&mut self) {
        self.edited = true;
        self.order = OnceLock::new();
    }

    /// Marks every element that refers to something, and its ancestors.
    pub fn mark_references(&mut self) {
        // Parents come before their children, so from the end one pass is enough.
        for index in (0..self.nodes.len()).rev() {
            let id = NodeId(count(index));
            let own = self.kind(id) == Kind::Element
                && self.attributes(id).any(|a| is_reference(a.name, a.value));
            if own {
                self.nodes[index].refers = true;
            }
            let (refers, parent) = (self.nodes[index].refers, self.nodes[index].parent);
            if refers && parent != NONE {
                self.nodes[parent as usize].refers = true;
            }
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

    pub fn refers(&self, id: NodeId) -> bool {
        self.node(id).refers
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

    pub fn text(&self, id: NodeId) -> &str {
        self.slice(self.node(id).text)
    }

    pub fn parent(&self, id: NodeId) -> Option<NodeId> {
        some(self.node(id).parent)
    }

    pub fn next(&self, id: NodeId) -> Option<NodeId> {
        some(self.node(id).next)
    }

    pub fn previous(&self, id: NodeId) -> Option<NodeId> {
        some(self.node(id).previous)
    }

    pub fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::successors(some(self.node(id).first), |child| self.next(*child))
    }

    pub fn elements(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.children(id).filter(|child| self.is_element(*child))
    }

    pub fn attributes(&self, id: NodeId) -> impl Iterator<Item = AttributeRef<'_>> + '_ {
        (0..self.attribute_count(id)).map(move |index| self.attribute_at(id, index))
    }

    pub fn attribute_count(&self, id: NodeId) -> usize {
        self.node(id).attributes.len as usize
    }

    pub fn attribute_at(&self, id: NodeId, index: usize) -> AttributeRef<'_> {
        let start = self.node(id).attributes.start as usize;
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

    /// The child elements of this name and of no namespace.
    pub fn elements_named<'a>(
        &'a self,
        id: NodeId,
        name: &'a str,
    ) -> impl Iterator<Item = NodeId> + 'a {
        self.elements(id)
            .filter(move |child| self.is_named(*child, name))
    }

    /// Whether it is an element of this name and of no namespace.
    pub fn is_named(&self, id: NodeId, name: &str) -> bool {
        self.is_element(id) && self.node(id).namespace == NameId::EMPTY && self.name(id) == name
    }

    /// The document's element.
    pub fn document_element(&self) -> Option<NodeId> {
        self.elements(self.root()).next()
    }

    /// Whether `ancestor` is `id` or above it.
    pub fn is_within(&self, id: NodeId, ancestor: NodeId) -> bool {
        std::iter::successors(Some(id), |node| self.parent(*node)).any(|node| node == ancestor)
    }

    /// The next node in document order, below `id` first.
    pub fn following(&self, id: NodeId) -> Option<NodeId> {
        some(self.node(id).first).or_else(|| self.after(id))
    }

    /// The next node in document order that is not below `id`.
    pub fn after(&self, id: NodeId) -> Option<NodeId> {
        std::iter::successors(Some(id), |node| self.parent(*node)).find_map(|node| self.next(node))
    }

    /// The place of a node in document order.
    pub fn order(&self, id: NodeId) -> u32 {
        if !self.edited {
            return id.0;
        }
        self.order.get_or_init(|| {
            let mut order = vec![NONE; self.nodes.len()];
            let nodes = std::iter::successors(Some(self.root()), |node| self.following(*node));
            for (place, node) in (0..).zip(nodes) {
                order[node.0 as usize] = place;
            }
            order
        })[id.0 as usize]
    }

    /// The text of an element and of everything below it, in order.
    pub fn string_value(&self, id: NodeId) -> String {
        match self.kind(id) {
            Kind::Root | Kind::Element => {
                let end = self.after(id);
                let mut value = String::new();
                let mut next = self.following(id);
                while let Some(node) = next.filter(|node| Some(*node) != end) {
                    if self.kind(node) == Kind::Text {
                        value.push_str(self.text(node));
                    }
                    next = self.following(node);
                }
                value
            }
            Kind::Text | Kind::Comment | Kind::Instruction => self.text(id).to_owned(),
        }
    }
}

/// Whether an attribute makes its element refer to something.
pub(crate) fn is_reference(name: &str, value: &str) -> bool {
    matches!(name, "href" | "select" | "use") || value.starts_with("${select(")
}

fn some(raw: u32) -> Option<NodeId> {
    (raw != NONE).then_some(NodeId(raw))
}

/// Sizes are bounded by the limits of documents, far below 2^32.
fn count(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(NONE - 1)
}

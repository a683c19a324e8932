//! Builds and changes a tree.

use std::sync::OnceLock;

use super::{Attribute, Kind, NONE, NameId, Node, NodeId, Span, Tree, count, is_reference};

impl Tree {
    pub fn append_element(&mut self, parent: NodeId, name: &str) -> NodeId {
        let name = self.intern(name);
        let id = self.push(Kind::Element, name, Span::default());
        self.node_mut(id).span.start = count(self.attributes.len());
        self.link_last(parent, id);
        id
    }

    /// Appends text. Adjacent pieces become one text.
    pub fn append_text(&mut self, parent: NodeId, text: &str) {
        if text.is_empty() {
            return;
        }
        let last = self.node(parent).last;
        let end = count(self.text.len());
        let joins = last != NONE && {
            let node = &self.nodes[last as usize];
            node.kind == Kind::Text && node.span.start + node.span.len == end
        };
        let span = self.store(text);
        if joins {
            self.nodes[last as usize].span.len += span.len;
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
    pub fn add_attribute(&mut self, element: NodeId, name: NameId, value: &str) {
        self.declares |= self.names[name.0 as usize].starts_with("xmlns");
        let value = self.store(value);
        self.attributes.push(Attribute {
            name,
            namespace: NameId(0),
            value,
        });
        self.node_mut(element).span.len += 1;
    }

    pub fn set_namespace(&mut self, element: NodeId, namespace: NameId) {
        self.node_mut(element).namespace = namespace;
    }

    pub fn set_attribute_namespace(&mut self, element: NodeId, index: usize, namespace: NameId) {
        let start = self.node(element).span.start as usize;
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

    /// Removes a node from its position, with all its descendants.
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

    /// Appends a copy of another tree's node, with all its descendants. Returns the copy.
    pub fn graft(&mut self, parent: NodeId, other: &Tree, node: NodeId) -> Option<NodeId> {
        self.touch();
        self.hrefs |= other.hrefs;
        let first = self.copy(parent, other, node)?;
        self.bring_scope(first, other.in_scope(node));
        let end = other.after(node);
        // The open elements, and their copies.
        let mut open = vec![(node, first)];
        let mut next = other.following(node);
        while let Some(source) = next.filter(|source| Some(*source) != end) {
            while open
                .last()
                .is_some_and(|(of, _)| other.parent(source) != Some(*of))
            {
                open.pop();
            }
            let (_, above) = *open.last()?;
            if let Some(copy) = self.copy(above, other, source) {
                open.push((source, copy));
            }
            next = other.following(source);
        }
        Some(first)
    }

    /// Declares the bindings that are not in scope on the element that was appended last. Its text
    /// and its attribute values may use those prefixes.
    fn bring_scope(&mut self, element: NodeId, bindings: Vec<(&str, &str)>) {
        for binding in bindings {
            let known = self.in_scope(element).contains(&binding);
            let (name, namespace) = binding;
            if !known && self.attribute(element, name).is_none() {
                let name = self.intern(name);
                self.add_attribute(element, name, namespace);
            }
        }
    }

    /// Joins adjacent texts: a document never has two in a row.
    pub fn join_texts(&mut self, parent: NodeId) {
        let mut next = self.children(parent).next();
        while let Some(first) = next {
            next = self.next(first);
            if self.kind(first) != Kind::Text {
                continue;
            }
            while let Some(text) = next.filter(|node| self.kind(*node) == Kind::Text) {
                next = self.next(text);
                let joined = [self.text(first), self.text(text)].concat();
                let span = self.store(&joined);
                self.node_mut(first).span = span;
                self.unlink(text);
            }
        }
    }

    /// Appends a copy of one node. Returns the copy if it is an element.
    fn copy(&mut self, parent: NodeId, other: &Tree, node: NodeId) -> Option<NodeId> {
        match other.kind(node) {
            Kind::Root => {}
            Kind::Text => self.append_text(parent, other.text(node)),
            Kind::Comment => self.append_comment(parent, other.text(node)),
            Kind::Instruction => {
                self.append_instruction(parent, other.name(node), other.text(node));
            }
            Kind::Element => {
                let copy = self.append_element(parent, other.name(node));
                let namespace = self.intern(other.namespace(node));
                self.set_namespace(copy, namespace);
                for (index, attribute) in other.attributes(node).enumerate() {
                    let name = self.intern(attribute.name);
                    self.add_attribute(copy, name, attribute.value);
                    let namespace = self.intern(attribute.namespace);
                    self.set_attribute_namespace(copy, index, namespace);
                }
                let (of, from) = (self.node_mut(copy), other.node(node));
                of.refers_itself = from.refers_itself;
                of.refers_below = from.refers_below;
                return Some(copy);
            }
        }
        None
    }

    fn touch(&mut self) {
        self.edited = true;
        self.order = OnceLock::new();
    }

    /// Marks every element that has references, and its ancestors.
    pub fn mark_references(&mut self) {
        // Parents come before their children, so one pass from the end is enough.
        for index in (0..self.nodes.len()).rev() {
            let id = NodeId(count(index));
            // The attributes of a foreign vocabulary are data.
            let ours = self.kind(id) == Kind::Element && self.namespace(id).is_empty();
            if ours && self.attributes(id).any(|a| is_reference(a.name, a.value)) {
                self.nodes[index].refers_itself = true;
                self.hrefs |= self.attribute(id, "href").is_some();
            }
            let parent = self.nodes[index].parent;
            if self.refers(id) && parent != NONE {
                self.nodes[parent as usize].refers_below = true;
            }
        }
    }
}

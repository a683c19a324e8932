//! Navigation between nodes.

use super::{Kind, NONE, NodeId, Tree, some};
use crate::document::parse::declared_prefix;
use crate::document::well_formed::XML_NAMESPACE;

/// How many nodes without text are skipped to find the next one that has some.
const TEXT_STEPS: usize = 16;

impl Tree {
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

    /// The document element.
    pub fn document_element(&self) -> Option<NodeId> {
        self.elements(self.root()).next()
    }

    /// Returns whether `ancestor` is `id` or an ancestor of it.
    pub fn is_within(&self, id: NodeId, ancestor: NodeId) -> bool {
        std::iter::successors(Some(id), |node| self.parent(*node)).any(|node| node == ancestor)
    }

    /// The declarations in scope around an element, from its ancestors: the name of each attribute,
    /// and the namespace.
    pub fn in_scope(&self, id: NodeId) -> Vec<(&str, &str)> {
        let mut bindings: Vec<(&str, &str)> = Vec::new();
        if !self.declares {
            return bindings;
        }
        for above in std::iter::successors(self.parent(id), |node| self.parent(*node)) {
            for attribute in self.attributes(above) {
                let declares = declared_prefix(attribute.name).is_some();
                if declares && bindings.iter().all(|(known, _)| *known != attribute.name) {
                    bindings.push((attribute.name, attribute.value));
                }
            }
        }
        bindings
    }

    /// The namespaces in scope on an element: each prefix, empty for the default, and its
    /// namespace. `xml` comes first, because it is always bound.
    pub fn namespaces(&self, id: NodeId) -> Vec<(&str, &str)> {
        let own = self.attributes(id).map(|own| (own.name, own.value));
        let mut namespaces = vec![("xml", XML_NAMESPACE)];
        let mut known: Vec<&str> = vec!["xml"];
        for (name, namespace) in own.chain(self.in_scope(id)) {
            let Some(prefix) = declared_prefix(name).filter(|prefix| !known.contains(prefix))
            else {
                continue;
            };
            known.push(prefix);
            // `xmlns=""` removes the default namespace.
            if !namespace.is_empty() {
                namespaces.push((prefix, namespace));
            }
        }
        namespaces
    }

    /// The next node in document order, starting with the descendants of `id`.
    pub fn following(&self, id: NodeId) -> Option<NodeId> {
        some(self.node(id).first).or_else(|| self.after(id))
    }

    /// The next node in document order that is not a descendant of `id`.
    pub fn after(&self, id: NodeId) -> Option<NodeId> {
        std::iter::successors(Some(id), |node| self.parent(*node)).find_map(|node| self.next(node))
    }

    /// The position of a node in document order.
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

    /// The smallest possible size of a node with all its descendants once written, in bytes. The
    /// method takes only a few steps, and gives 0 if they are not enough.
    pub fn least_bytes(&self, id: NodeId) -> usize {
        self.least_bytes_between(id, self.after(id))
    }

    /// The smallest possible size of all descendants of a node, in bytes.
    pub fn least_bytes_below(&self, id: NodeId) -> usize {
        let first = some(self.node(id).first);
        first.map_or(0, |first| self.least_bytes_between(first, self.after(id)))
    }

    fn least_bytes_between(&self, first: NodeId, end: Option<NodeId>) -> usize {
        if self.edited {
            return 0;
        }
        let nodes = end.map_or(self.nodes.len(), |end| end.0 as usize) - first.0 as usize;
        let text = self.text_at(Some(first)).zip(self.text_at(end));
        // A declaration that is already in scope is not written again.
        let text = text.filter(|_| !self.declares);
        let text = text.map_or(0, |(start, end)| end.saturating_sub(start));
        // At most every second node is text, whose bytes are already counted. An element has at
        // least four bytes.
        2 * nodes.saturating_sub(1) + text
    }

    /// The offset of the first text at or after a node in document order, as parsed.
    fn text_at(&self, id: Option<NodeId>) -> Option<usize> {
        let mut next = id;
        for _ in 0..TEXT_STEPS {
            let Some(id) = next else {
                return Some(self.text.len());
            };
            let node = self.node(id);
            let span = match node.kind {
                Kind::Text | Kind::Comment | Kind::Instruction => Some(node.span),
                Kind::Element if node.span.len > 0 => {
                    let first = self.attributes.get(node.span.start as usize)?;
                    Some(first.value)
                }
                Kind::Element | Kind::Root => None,
            };
            if let Some(span) = span {
                return Some(span.start as usize);
            }
            next = self.following(id);
        }
        None
    }
}

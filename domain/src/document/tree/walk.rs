//! The ways from node to node.

use super::{NONE, NodeId, Tree, some};
use crate::document::parse::declared_prefix;
use crate::document::well_formed::XML_NAMESPACE;

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

    /// The document's element.
    pub fn document_element(&self) -> Option<NodeId> {
        self.elements(self.root()).next()
    }

    /// Whether `ancestor` is `id` or above it.
    pub fn is_within(&self, id: NodeId, ancestor: NodeId) -> bool {
        std::iter::successors(Some(id), |node| self.parent(*node)).any(|node| node == ancestor)
    }

    /// The declarations in scope around an element, by what is above it: the name of each
    /// attribute, and the namespace.
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

    /// The namespaces in scope on an element: each prefix, the empty one for the default, and what
    /// it is bound to. `xml` comes first: it is bound everywhere.
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
            // `xmlns=""` takes the default away.
            if !namespace.is_empty() {
                namespaces.push((prefix, namespace));
            }
        }
        namespaces
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
}

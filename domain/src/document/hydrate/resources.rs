use crate::FailureCode;
use std::collections::HashMap;
use std::sync::OnceLock;

use super::HydrationError;
use crate::document::limits::Limits;
use crate::document::parse::parse;
use crate::document::tree::{NodeId, Tree};
use crate::document::well_formed::local_name;

/// The fetched documents of a request, each parsed once.
#[derive(Debug, Default)]
pub struct CapturedResources {
    by_uri: HashMap<String, Resource>,
}

/// A fetched document, with the indexes by which counterparts are found.
#[derive(Debug)]
pub(super) struct Resource {
    pub tree: Tree,
    children: OnceLock<HashMap<NodeId, Named>>,
    by_tag: OnceLock<HashMap<Tag, Tagged>>,
}

/// A local name and a namespace.
type Tag = (Box<str>, Box<str>);

/// Elements by tag.
type Named = HashMap<Tag, Vec<NodeId>>;

/// The elements of one tag.
#[derive(Debug, Default)]
struct Tagged {
    all: Vec<NodeId>,
    by_name: HashMap<Box<str>, Vec<NodeId>>,
    by_id: HashMap<Box<str>, Vec<NodeId>>,
}

impl CapturedResources {
    /// Adds a fetched document.
    pub fn insert(&mut self, uri: &str, bytes: &[u8]) -> Result<(), HydrationError> {
        let limits = Limits {
            max_bytes: usize::MAX,
            ..Limits::default()
        };
        let tree = parse(bytes, &limits).map_err(|refusal| {
            let reason = format!("the fetched bytes are no document: {refusal}");
            HydrationError::failed(FailureCode::HydrationFetchFailed, "href", uri, reason)
        })?;
        let resource = Resource {
            tree,
            children: OnceLock::new(),
            by_tag: OnceLock::new(),
        };
        self.by_uri.insert(uri.to_owned(), resource);
        Ok(())
    }

    /// The approximate memory of the documents, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let trees = self.by_uri.values().map(|resource| resource.tree.bytes());
        trees.sum()
    }

    /// Returns whether the document of this URI was fetched.
    #[must_use]
    pub fn contains(&self, uri: &str) -> bool {
        self.by_uri.contains_key(uri)
    }

    pub(super) fn len(&self) -> usize {
        self.by_uri.len()
    }

    pub(super) fn get(&self, uri: &str) -> Option<&Resource> {
        self.by_uri.get(uri)
    }
}

impl Resource {
    /// The child elements with this local name and namespace.
    pub fn children(&self, parent: NodeId, local: &str, namespace: &str) -> &[NodeId] {
        let children = self.children.get_or_init(|| {
            let mut children: HashMap<NodeId, Named> = HashMap::new();
            for node in self.elements() {
                let Some(parent) = self.tree.parent(node) else {
                    continue;
                };
                let named = children.entry(parent).or_default();
                named.entry(self.tag(node)).or_default().push(node);
            }
            children
        });
        let named = children.get(&parent);
        let named = named.and_then(|named| named.get(&(local.into(), namespace.into())));
        named.map_or(&[], Vec::as_slice)
    }

    fn tag(&self, node: NodeId) -> Tag {
        let local = local_name(self.tree.name(node));
        (local.into(), self.tree.namespace(node).into())
    }

    /// The elements with this tag.
    pub fn tagged(&self, name: &str, namespace: &str) -> &[NodeId] {
        self.of_tag(name, namespace)
            .map_or(&[], |tagged| &tagged.all)
    }

    /// The elements with this tag whose `name` or `id` has this value.
    pub fn tagged_with(
        &self,
        name: &str,
        namespace: &str,
        attribute: &str,
        value: &str,
    ) -> &[NodeId] {
        let found = self.of_tag(name, namespace).and_then(|tagged| {
            let by_value = if attribute == "name" {
                &tagged.by_name
            } else {
                &tagged.by_id
            };
            by_value.get(value)
        });
        found.map_or(&[], Vec::as_slice)
    }

    fn of_tag(&self, name: &str, namespace: &str) -> Option<&Tagged> {
        let by_tag = self.by_tag.get_or_init(|| {
            let mut by_tag: HashMap<Tag, Tagged> = HashMap::new();
            for node in self.elements() {
                let tagged = by_tag.entry(self.tag(node)).or_default();
                tagged.all.push(node);
                if let Some(name) = self.tree.attribute(node, "name") {
                    tagged.by_name.entry(name.into()).or_default().push(node);
                }
                if let Some(id) = self.tree.attribute(node, "id") {
                    tagged.by_id.entry(id.into()).or_default().push(node);
                }
            }
            by_tag
        });
        by_tag.get(&(local_name(name).into(), namespace.into()))
    }

    fn elements(&self) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::successors(Some(self.tree.root()), |node| self.tree.following(*node))
            .filter(|node| self.tree.is_element(*node))
    }
}

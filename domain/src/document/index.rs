//! The index that makes common expressions cheap. It finds children by name, or all elements of the
//! document, and it finds them by the value of an attribute. The index is built on demand, and for
//! children only if there are many.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::tree::{NameId, NodeId, Tree};
use super::xpath::Item;

/// With fewer children than this, a linear search costs less than an index.
const FEW: usize = 16;
/// The maximum number of elements indexed by attribute value, over all attributes. Beyond it the
/// search is linear, so that the index has bounded memory.
const BY_VALUE_MAX: usize = 2_000_000;

type Nodes = Arc<Vec<NodeId>>;
/// Elements with the hash of an attribute's value, by hash and then in document order. The hash has
/// a random key, so that no document can force collisions.
type ByValue = Arc<Vec<(u64, NodeId)>>;

#[derive(Debug, Default)]
pub(crate) struct Index {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    hasher: RandomState,
    /// The number of elements in `by_value`.
    kept: usize,
    /// The children of a parent by name; `None` if they are few. The entry of the root has all
    /// elements of the document.
    by_name: HashMap<NodeId, Option<Arc<HashMap<NameId, Nodes>>>>,
    by_value: HashMap<(NodeId, NameId, Box<str>), ByValue>,
}

impl Index {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The child elements with this name and no namespace, in document order. For the root, it is
    /// all such elements of the document. If it is cheap, they are narrowed to those with this
    /// value of `attribute`. `None` if there is no index of them. `visit` receives the number of
    /// nodes examined.
    pub fn elements<E>(
        &self,
        tree: &Tree,
        parent: NodeId,
        name: NameId,
        attribute: Option<(&str, &str)>,
        visit: impl Fn(usize) -> Result<(), E>,
    ) -> Result<Option<Vec<Item>>, E> {
        let Some(by_name) = self.by_name(tree, parent, &visit)? else {
            return Ok(None);
        };
        let Some(named) = by_name.get(&name) else {
            return Ok(Some(Vec::new()));
        };
        let by_value = match attribute {
            Some((attribute, _)) => self.by_value(tree, parent, name, attribute, named, &visit)?,
            None => None,
        };
        let Some((by_value, (attribute, value))) = by_value.zip(attribute) else {
            visit(named.len())?;
            return Ok(Some(named.iter().map(|node| Item::Node(*node)).collect()));
        };
        let hash = self.inner().hasher.hash_one(value);
        let first = by_value.partition_point(|(known, _)| *known < hash);
        let mut found = Vec::new();
        visit(1)?;
        for (_, node) in by_value[first..]
            .iter()
            .take_while(|(known, _)| *known == hash)
        {
            visit(1 + tree.attribute_count(*node))?;
            if tree.attribute(*node, attribute) == Some(value) {
                found.push(Item::Node(*node));
            }
        }
        Ok(Some(found))
    }

    fn by_name<E>(
        &self,
        tree: &Tree,
        parent: NodeId,
        visit: &impl Fn(usize) -> Result<(), E>,
    ) -> Result<Option<Arc<HashMap<NameId, Nodes>>>, E> {
        if let Some(known) = self.inner().by_name.get(&parent) {
            return Ok(known.clone());
        }
        let is_root = parent == tree.root();
        let many = is_root || tree.elements(parent).nth(FEW).is_some();
        let made = if many {
            let mut groups: HashMap<NameId, Vec<NodeId>> = HashMap::new();
            for child in reached(tree, parent, is_root) {
                visit(1)?;
                if tree.namespace(child).is_empty() {
                    groups.entry(tree.name_id(child)).or_default().push(child);
                }
            }
            let groups = groups
                .into_iter()
                .map(|(name, nodes)| (name, Arc::new(nodes)));
            Some(Arc::new(groups.collect()))
        } else {
            None
        };
        self.inner().by_name.insert(parent, made.clone());
        Ok(made)
    }

    /// `None` if the index has no room for it.
    fn by_value<E>(
        &self,
        tree: &Tree,
        parent: NodeId,
        name: NameId,
        attribute: &str,
        named: &[NodeId],
        visit: &impl Fn(usize) -> Result<(), E>,
    ) -> Result<Option<ByValue>, E> {
        let key = (parent, name, Box::from(attribute));
        let hasher = {
            let inner = self.inner();
            if let Some(known) = inner.by_value.get(&key) {
                return Ok(Some(known.clone()));
            }
            if inner.kept + named.len() > BY_VALUE_MAX {
                return Ok(None);
            }
            inner.hasher.clone()
        };
        let mut made = Vec::new();
        for node in named {
            visit(1 + tree.attribute_count(*node))?;
            if let Some(value) = tree.attribute(*node, attribute) {
                made.push((hasher.hash_one(value), *node));
            }
        }
        // The sort is stable, so elements with the same hash stay in document order.
        made.sort_by_key(|(hash, _)| *hash);
        let made = Arc::new(made);
        let mut inner = self.inner();
        inner.kept += made.len();
        inner.by_value.insert(key, made.clone());
        Ok(Some(made))
    }
}

/// The children of a parent, or all its descendants.
fn reached(tree: &Tree, parent: NodeId, deep: bool) -> Box<dyn Iterator<Item = NodeId> + '_> {
    if deep {
        let below = std::iter::successors(Some(parent), |node| tree.following(*node));
        Box::new(below.filter(|node| tree.is_element(*node)))
    } else {
        Box::new(tree.elements(parent))
    }
}

//! The index that makes the common expressions cheap: children by name, or all elements of the
//! document, and by the value of an attribute. Made where it is asked for, and of children only
//! where there are many.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::tree::{NameId, NodeId, Tree};
use super::xpath::Item;

/// Looking through fewer children than this costs less than an index of them.
const FEW: usize = 16;
/// The most elements that are kept by the value of an attribute, over all attributes. Beyond it
/// they are looked through: what the index takes of memory is bounded.
const BY_VALUE_MAX: usize = 2_000_000;

type Nodes = Arc<Vec<NodeId>>;
/// Elements with the hash of an attribute's value, by that hash and then in document order. The
/// hash is keyed by chance, so that no document can make many values meet.
type ByValue = Arc<Vec<(u64, NodeId)>>;

#[derive(Debug, Default)]
pub(crate) struct Index {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    hasher: RandomState,
    /// How many elements `by_value` has.
    kept: usize,
    /// The children of a parent by name, none where they are few; under the document's root, all
    /// elements below it.
    by_name: HashMap<NodeId, Option<Arc<HashMap<NameId, Nodes>>>>,
    by_value: HashMap<(NodeId, NameId, Box<str>), ByValue>,
}

impl Index {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The child elements of this name and of no namespace, or for the root all such elements of
    /// the document, in document order, narrowed to those with `attribute` of this value where
    /// that is cheap; none where there is no index of them. `visit` is told how many nodes were
    /// looked at.
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

    /// None where there is no room for it.
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
        // Stable, so that elements of one hash stay in document order.
        made.sort_by_key(|(hash, _)| *hash);
        let made = Arc::new(made);
        let mut inner = self.inner();
        inner.kept += made.len();
        inner.by_value.insert(key, made.clone());
        Ok(Some(made))
    }
}

/// The elements below a parent: its children, or everything.
fn reached(tree: &Tree, parent: NodeId, deep: bool) -> Box<dyn Iterator<Item = NodeId> + '_> {
    if deep {
        let below = std::iter::successors(Some(parent), |node| tree.following(*node));
        Box::new(below.filter(|node| tree.is_element(*node)))
    } else {
        Box::new(tree.elements(parent))
    }
}

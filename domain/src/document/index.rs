//! The index that makes the common expressions cheap: children by name, or all elements of the
//! document, and by the value of an attribute. Made where it is asked for, and of children only
//! where there are many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::tree::{NameId, NodeId, Tree};

/// Looking through fewer children than this costs less than an index of them.
const FEW: usize = 16;

type Nodes = Arc<Vec<NodeId>>;
type ByValue = Arc<HashMap<Box<str>, Vec<NodeId>>>;

#[derive(Debug, Default)]
pub(crate) struct Index {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
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
    /// the document, in document order, narrowed to those
    /// with `attribute` of this value where that is cheap; none where there is no index of
    /// them. `visit` is told how many nodes were looked at.
    pub fn elements<E>(
        &self,
        tree: &Tree,
        parent: NodeId,
        name: NameId,
        attribute: Option<(&str, &str)>,
        visit: impl Fn(usize) -> Result<(), E>,
    ) -> Result<Option<Nodes>, E> {
        let Some(by_name) = self.by_name(tree, parent, &visit)? else {
            return Ok(None);
        };
        let Some(named) = by_name.get(&name) else {
            return Ok(Some(Nodes::default()));
        };
        let Some((attribute, value)) = attribute else {
            visit(named.len())?;
            return Ok(Some(named.clone()));
        };
        let by_value = self.by_value(tree, parent, name, attribute, named, &visit)?;
        let found = by_value.get(value).cloned().unwrap_or_default();
        visit(found.len() + 1)?;
        Ok(Some(Arc::new(found)))
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

    fn by_value<E>(
        &self,
        tree: &Tree,
        parent: NodeId,
        name: NameId,
        attribute: &str,
        named: &[NodeId],
        visit: &impl Fn(usize) -> Result<(), E>,
    ) -> Result<ByValue, E> {
        let key = (parent, name, Box::from(attribute));
        if let Some(known) = self.inner().by_value.get(&key) {
            return Ok(known.clone());
        }
        let mut groups: HashMap<Box<str>, Vec<NodeId>> = HashMap::new();
        for node in named {
            visit(1)?;
            if let Some(value) = tree.attribute(*node, attribute) {
                groups.entry(value.into()).or_default().push(*node);
            }
        }
        let made = Arc::new(groups);
        self.inner().by_value.insert(key, made.clone());
        Ok(made)
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

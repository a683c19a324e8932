//! The axes: from one node to others, nearest first.

use super::value::Item;
use crate::document::parse::declared_prefix;
use crate::document::tree::{NodeId, Tree};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    Ancestor,
    AncestorOrSelf,
    Attribute,
    Child,
    Descendant,
    DescendantOrSelf,
    Following,
    FollowingSibling,
    Namespace,
    Parent,
    Preceding,
    PrecedingSibling,
    Itself,
}

impl Axis {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "ancestor" => Self::Ancestor,
            "ancestor-or-self" => Self::AncestorOrSelf,
            "attribute" => Self::Attribute,
            "child" => Self::Child,
            "descendant" => Self::Descendant,
            "descendant-or-self" => Self::DescendantOrSelf,
            "following" => Self::Following,
            "following-sibling" => Self::FollowingSibling,
            "namespace" => Self::Namespace,
            "parent" => Self::Parent,
            "preceding" => Self::Preceding,
            "preceding-sibling" => Self::PrecedingSibling,
            "self" => Self::Itself,
            _ => return None,
        })
    }

    /// Returns whether the nearest node is the last in document order.
    pub fn is_reverse(self) -> bool {
        matches!(
            self,
            Self::Ancestor | Self::AncestorOrSelf | Self::Preceding | Self::PrecedingSibling
        )
    }

    /// The nodes of the axis, nearest first.
    pub fn of(self, tree: &Tree, item: Item) -> Box<dyn Iterator<Item = Item> + '_> {
        match item {
            Item::Node(node) => self.of_node(tree, node),
            Item::Attribute(owner, _) | Item::Namespace(owner, _) => {
                self.of_attribute(tree, owner, item)
            }
        }
    }

    fn of_attribute(
        self,
        tree: &Tree,
        owner: NodeId,
        item: Item,
    ) -> Box<dyn Iterator<Item = Item> + '_> {
        match self {
            Self::Itself | Self::DescendantOrSelf => Box::new(std::iter::once(item)),
            Self::Parent => Box::new(std::iter::once(Item::Node(owner))),
            Self::Ancestor => Self::AncestorOrSelf.of_node(tree, owner),
            Self::AncestorOrSelf => {
                Box::new(std::iter::once(item).chain(self.of_node(tree, owner)))
            }
            // The axis from an attribute has the descendants of its element, and everything after
            // them.
            Self::Following => Box::new(nodes(std::iter::successors(
                tree.following(owner),
                |node| tree.following(*node),
            ))),
            Self::Preceding => self.of_node(tree, owner),
            Self::Attribute
            | Self::Child
            | Self::Descendant
            | Self::FollowingSibling
            | Self::PrecedingSibling
            | Self::Namespace => Box::new(std::iter::empty()),
        }
    }

    fn of_node(self, tree: &Tree, node: NodeId) -> Box<dyn Iterator<Item = Item> + '_> {
        let ancestors = |first| std::iter::successors(first, |n: &NodeId| tree.parent(*n));
        match self {
            Self::Itself => Box::new(std::iter::once(Item::Node(node))),
            Self::Parent => Box::new(nodes(tree.parent(node).into_iter())),
            Self::Ancestor => Box::new(nodes(ancestors(tree.parent(node)))),
            Self::AncestorOrSelf => Box::new(nodes(ancestors(Some(node)))),
            Self::Child => Box::new(nodes(tree.children(node))),
            Self::Descendant => Box::new(nodes(below(tree, node))),
            Self::DescendantOrSelf => {
                Box::new(nodes(std::iter::once(node).chain(below(tree, node))))
            }
            Self::Following => Box::new(nodes(std::iter::successors(tree.after(node), |n| {
                tree.following(*n)
            }))),
            Self::FollowingSibling => {
                Box::new(nodes(std::iter::successors(tree.next(node), |n| {
                    tree.next(*n)
                })))
            }
            Self::PrecedingSibling => {
                Box::new(nodes(std::iter::successors(tree.previous(node), |n| {
                    tree.previous(*n)
                })))
            }
            Self::Preceding => Box::new(nodes(preceding(tree, node))),
            Self::Attribute => Box::new(
                (0..)
                    .take(tree.attribute_count(node))
                    .filter(move |index| {
                        let attribute = tree.attribute_at(node, *index as usize);
                        declared_prefix(attribute.name).is_none()
                    })
                    .map(move |index| Item::Attribute(node, index)),
            ),
            Self::Namespace if tree.is_element(node) => {
                let namespaces = (0..).take(tree.namespaces(node).len());
                Box::new(namespaces.map(move |index| Item::Namespace(node, index)))
            }
            Self::Namespace => Box::new(std::iter::empty()),
        }
    }
}

fn nodes<'a>(ids: impl Iterator<Item = NodeId> + 'a) -> impl Iterator<Item = Item> + 'a {
    ids.map(Item::Node)
}

fn below(tree: &Tree, node: NodeId) -> impl Iterator<Item = NodeId> + '_ {
    let end = tree.after(node);
    std::iter::successors(tree.following(node), |n| tree.following(*n))
        .take_while(move |n| Some(*n) != end)
}

/// Everything that ends before a node begins, nearest first: the preceding siblings of the node and
/// of its ancestors, each from its last descendant on.
fn preceding(tree: &Tree, node: NodeId) -> impl Iterator<Item = NodeId> + '_ {
    let up = std::iter::successors(Some(node), |n| tree.parent(*n));
    up.flat_map(|n| std::iter::successors(tree.previous(n), |s| tree.previous(*s)))
        .flat_map(|sibling| {
            let mut all: Vec<NodeId> = std::iter::once(sibling)
                .chain(below(tree, sibling))
                .collect();
            all.reverse();
            all
        })
}

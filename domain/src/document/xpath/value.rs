//! The four types of XPath 1.0, and their conversions.

use std::borrow::Cow;

use crate::document::tree::{NodeId, Tree};

/// A node of a node-set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Item {
    Node(NodeId),
    /// An element and the index of one of its attributes.
    Attribute(NodeId, u32),
    /// An element and the index of one of the namespaces in scope on it.
    Namespace(NodeId, u32),
}

/// Attributes come after the namespaces of their element.
const AFTER_NAMESPACES: u32 = 1 << 16;

/// A value. Text is borrowed from the document or the expression if it is there in one piece.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'v> {
    /// Nodes in document order, each once.
    Nodes(Vec<Item>),
    Boolean(bool),
    Number(f64),
    Text(Cow<'v, str>),
}

impl Item {
    /// The position in document order: an element, then the namespaces in scope on it, then its
    /// attributes, then its descendants.
    pub fn order(self, tree: &Tree) -> (u32, u32) {
        match self {
            Self::Node(node) => (tree.order(node), 0),
            Self::Namespace(owner, index) => (tree.order(owner), index + 1),
            Self::Attribute(owner, index) => (tree.order(owner), AFTER_NAMESPACES + index),
        }
    }
}

impl Value<'_> {
    pub fn boolean(&self) -> bool {
        match self {
            Self::Nodes(nodes) => !nodes.is_empty(),
            Self::Boolean(value) => *value,
            Self::Number(number) => *number != 0.0 && !number.is_nan(),
            Self::Text(text) => !text.is_empty(),
        }
    }
}

/// Parses a number (section 4.4): white space, an optional minus, and digits with at most one
/// point.
pub(super) fn parse_number(text: &str) -> f64 {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && digits.bytes().any(|b| b.is_ascii_digit());
    if plain {
        text.parse().unwrap_or(f64::NAN)
    } else {
        f64::NAN
    }
}

/// Formats a number (section 4.2): never an exponent, no trailing zeros, no negative zero.
pub(crate) fn format_number(number: f64) -> String {
    if number.is_nan() {
        "NaN".into()
    } else if number.is_infinite() {
        if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .into()
    } else if number == 0.0 {
        "0".into()
    } else {
        number.to_string()
    }
}

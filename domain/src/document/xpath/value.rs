//! The four types of XPath 1.0, and how one becomes another.

use crate::document::tree::{NodeId, Tree};

/// A node of a node-set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Item {
    Node(NodeId),
    /// An element and the place of one of its attributes.
    Attribute(NodeId, usize),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// In document order, each once.
    Nodes(Vec<Item>),
    Boolean(bool),
    Number(f64),
    Text(String),
}

impl Item {
    /// Its place in document order: an element, then its attributes, then what is below it.
    pub fn order(self, tree: &Tree) -> (u32, usize) {
        match self {
            Self::Node(node) => (tree.order(node), 0),
            Self::Attribute(owner, index) => (tree.order(owner), index + 1),
        }
    }

    pub fn string_value(self, tree: &Tree) -> String {
        match self {
            Self::Node(node) => tree.string_value(node),
            Self::Attribute(owner, index) => tree.attribute_at(owner, index).value.to_owned(),
        }
    }
}

impl Value {
    pub fn boolean(&self) -> bool {
        match self {
            Self::Nodes(nodes) => !nodes.is_empty(),
            Self::Boolean(value) => *value,
            Self::Number(number) => *number != 0.0 && !number.is_nan(),
            Self::Text(text) => !text.is_empty(),
        }
    }

    pub fn number(&self, tree: &Tree) -> f64 {
        match self {
            Self::Boolean(value) => f64::from(u8::from(*value)),
            Self::Number(number) => *number,
            Self::Nodes(_) | Self::Text(_) => parse_number(&self.text(tree)),
        }
    }

    pub fn text(&self, tree: &Tree) -> String {
        match self {
            Self::Nodes(nodes) => nodes
                .first()
                .map_or_else(String::new, |item| item.string_value(tree)),
            Self::Boolean(value) => value.to_string(),
            Self::Number(number) => format_number(*number),
            Self::Text(text) => text.clone(),
        }
    }
}

/// Section 4.4: white space, an optional minus, digits with at most one point.
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

/// Section 4.2: never an exponent, no trailing zeros, no negative zero.
fn format_number(number: f64) -> String {
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

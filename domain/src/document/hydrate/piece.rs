//! What hydration makes: new elements where something changed, and references to the source
//! where nothing did, so that no document is copied.

use std::borrow::Cow;

use super::HydrationError;
use crate::document::tree::{NodeId, Tree};
use crate::document::well_formed::local_name;
use crate::document::write::{Writer, Written};

/// A piece of content.
#[derive(Clone, Debug)]
pub(crate) enum Piece<'a> {
    /// A node of a document, with all below it, as it is.
    Source(&'a Tree, NodeId),
    Text(Cow<'a, str>),
    Element(Box<Element<'a>>),
}

/// An element that was made.
#[derive(Clone, Debug)]
pub(crate) struct Element<'a> {
    pub name: &'a str,
    pub namespace: &'a str,
    pub attributes: Vec<MadeAttribute<'a>>,
    pub children: Vec<Piece<'a>>,
    /// The element it was made of.
    pub origin: (&'a Tree, NodeId),
    /// The element on which its references were written.
    pub written: (&'a Tree, NodeId),
}

#[derive(Clone, Debug)]
pub(crate) struct MadeAttribute<'a> {
    pub name: &'a str,
    pub namespace: &'a str,
    pub value: Cow<'a, str>,
}

impl<'a> Element<'a> {
    /// An element of a document; what is below it stays where it is.
    pub fn of(tree: &'a Tree, node: NodeId) -> Self {
        Self {
            name: tree.name(node),
            namespace: tree.namespace(node),
            attributes: tree
                .attributes(node)
                .map(|attribute| MadeAttribute {
                    name: attribute.name,
                    namespace: attribute.namespace,
                    value: Cow::Borrowed(attribute.value),
                })
                .collect(),
            children: tree
                .children(node)
                .map(|child| Piece::Source(tree, child))
                .collect(),
            origin: (tree, node),
            written: (tree, node),
        }
    }

    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name == name)
            .map(|attribute| attribute.value.as_ref())
    }

    pub fn remove(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let at = self.attributes.iter().position(|a| a.name == name)?;
        Some(self.attributes.remove(at).value)
    }

    /// The error that this element cannot be hydrated.
    pub fn error(
        &self,
        code: &'static str,
        expression: impl Into<String>,
        reason: impl Into<String>,
    ) -> HydrationError {
        let called = self.attribute("name").map_or_else(
            || self.name.to_owned(),
            |name| format!("{} name=\"{name}\"", self.name),
        );
        HydrationError::failed(code, called, expression, reason)
    }

    /// Writes it; `last` is written as its last content.
    pub fn write(&self, writer: &mut Writer, last: impl FnOnce(&mut Writer)) {
        let attributes = self.attributes.iter().map(|attribute| Written {
            name: attribute.name,
            namespace: attribute.namespace,
            value: Cow::Borrowed(&attribute.value),
        });
        writer.open(self.name, self.namespace, attributes);
        writer.content();
        for child in &self.children {
            child.write(writer);
        }
        last(writer);
        writer.close(self.name);
    }
}

impl<'a> Piece<'a> {
    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Source(tree, node) => writer.node(tree, *node),
            Self::Text(text) => writer.characters(text),
            Self::Element(element) => element.write(writer, |_| {}),
        }
    }

    /// Its text, where it is text.
    pub fn text(&self) -> Option<&str> {
        use crate::document::tree::Kind;
        match self {
            Self::Source(tree, node) if tree.kind(*node) == Kind::Text => Some(tree.text(*node)),
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Itself as an element, where it is one.
    pub fn into_element(self) -> Result<Element<'a>, Self> {
        match self {
            Self::Source(tree, node) if tree.is_element(node) => Ok(Element::of(tree, node)),
            Self::Element(element) => Ok(*element),
            other => Err(other),
        }
    }

    pub fn is_element(&self) -> bool {
        match self {
            Self::Source(tree, node) => tree.is_element(*node),
            Self::Text(_) => false,
            Self::Element(_) => true,
        }
    }

    /// The name as it is written, where it is an element.
    pub fn name(&self) -> Option<&'a str> {
        match self {
            Self::Source(tree, node) if tree.is_element(*node) => Some(tree.name(*node)),
            Self::Element(element) => Some(element.name),
            _ => None,
        }
    }

    /// The local name and the namespace, where it is an element.
    pub fn tag(&self) -> Option<(&'a str, &'a str)> {
        let namespace = match self {
            Self::Source(tree, node) => tree.namespace(*node),
            Self::Text(_) => "",
            Self::Element(element) => element.namespace,
        };
        Some((local_name(self.name()?), namespace))
    }

    /// Where it was written, where it is an element.
    pub fn origin(&self) -> Option<(&'a Tree, NodeId)> {
        match self {
            Self::Source(tree, node) if tree.is_element(*node) => Some((tree, *node)),
            Self::Element(element) => Some(element.origin),
            _ => None,
        }
    }

    pub fn attribute(&self, name: &str) -> Option<&str> {
        match self {
            Self::Source(tree, node) if tree.is_element(*node) => tree.attribute(*node, name),
            Self::Element(element) => element.attribute(name),
            _ => None,
        }
    }
}

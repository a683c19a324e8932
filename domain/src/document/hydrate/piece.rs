//! The output of hydration. It has new elements where something changed, and pointers to the source
//! elsewhere, so that no document is copied.

use crate::FailureCode;
use std::borrow::Cow;

use super::HydrationError;
use crate::document::budget::{Meter, Over};
use crate::document::tree::{Kind, NodeId, Tree};
use crate::document::well_formed::local_name;
use crate::document::write::{Writer, Written};

/// A piece of content.
#[derive(Clone, Debug)]
pub(crate) enum Piece<'a> {
    /// An unchanged node of a document, with all its descendants.
    Source(&'a Tree, NodeId),
    Element(Box<Element<'a>>),
}

/// The content of an element.
#[derive(Clone, Debug)]
pub(crate) enum Content<'a> {
    /// The whole unchanged content of a document's element.
    Whole(&'a Tree, NodeId),
    Made(Vec<Piece<'a>>),
}

/// An element that hydration made.
#[derive(Clone, Debug)]
pub(crate) struct Element<'a> {
    pub name: &'a str,
    pub namespace: &'a str,
    pub attributes: Vec<MadeAttribute<'a>>,
    pub content: Content<'a>,
    /// The element from which this one was made.
    pub origin: (&'a Tree, NodeId),
    /// The element on which its references were written.
    pub written: (&'a Tree, NodeId),
}

#[derive(Clone, Debug)]
pub(crate) struct MadeAttribute<'a> {
    pub name: &'a str,
    pub namespace: &'a str,
    pub value: Cow<'a, str>,
    /// Whether the value replaced a placeholder. Such a value is data, even if it looks like a
    /// reference.
    pub placed: bool,
}

impl MadeAttribute<'_> {
    pub fn take_value_of(&mut self, other: Self) {
        (self.value, self.placed) = (other.value, other.placed);
    }
}

impl<'a> Element<'a> {
    /// An element of a document. Its content stays where it is.
    pub fn of(meter: &Meter, tree: &'a Tree, node: NodeId) -> Result<Box<Self>, Over> {
        let attributes = tree.attribute_count(node);
        let bytes = size_of::<Self>() + attributes * size_of::<MadeAttribute<'_>>();
        meter.make(1 + attributes, bytes)?;
        Ok(Box::new(Self {
            name: tree.name(node),
            namespace: tree.namespace(node),
            attributes: tree
                .attributes(node)
                .map(|attribute| MadeAttribute {
                    name: attribute.name,
                    namespace: attribute.namespace,
                    value: Cow::Borrowed(attribute.value),
                    placed: false,
                })
                .collect(),
            content: Content::Whole(tree, node),
            origin: (tree, node),
            written: (tree, node),
        }))
    }

    /// Whether its attributes may be Fanfold's references. The attributes of a foreign vocabulary
    /// are data.
    pub fn is_ours(&self) -> bool {
        self.namespace.is_empty()
    }

    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name == name)
            .map(|attribute| attribute.value.as_ref())
    }

    /// The value of an attribute that is a reference on this element.
    pub fn reference(&self, name: &str) -> Option<&str> {
        self.attribute(name).filter(|_| self.is_ours())
    }

    /// Removes a reference.
    pub fn remove(&mut self, name: &str) -> Option<Cow<'a, str>> {
        if !self.is_ours() {
            return None;
        }
        let at = self.attributes.iter().position(|a| a.name == name)?;
        Some(self.attributes.remove(at).value)
    }

    /// The error when this element cannot be hydrated.
    pub fn error(
        &self,
        code: FailureCode,
        expression: impl Into<String>,
        reason: impl Into<String>,
    ) -> HydrationError {
        HydrationError::failed(code, self.called(), expression, reason)
    }

    /// The error when this element exceeds the budget of its document.
    pub fn over(&self, expression: &str, over: Over) -> HydrationError {
        HydrationError::over(self.called(), expression, over)
    }

    fn called(&self) -> String {
        match self.attribute("name") {
            None => self.name.to_owned(),
            Some(name) => {
                let shown: String = name.chars().take(100).collect();
                format!("{} name=\"{shown}\"", self.name)
            }
        }
    }

    /// Writes the element; `last` writes the end of its content.
    pub fn write(&self, writer: &mut Writer, last: impl FnOnce(&mut Writer)) {
        writer.bring_scope(self.origin.0, self.origin.1);
        self.open(writer);
        self.content.write(writer, self.origin);
        last(writer);
        writer.close(self.name);
    }

    /// The smallest possible size of the written element, in bytes.
    pub fn least_bytes(&self) -> usize {
        let attributes = self
            .attributes
            .iter()
            .map(|attribute| attribute.value.len());
        attributes.sum::<usize>() + self.content.least_bytes()
    }

    fn open(&self, writer: &mut Writer) {
        let attributes = self.attributes.iter().map(|attribute| Written {
            name: attribute.name,
            namespace: attribute.namespace,
            value: Cow::Borrowed(&attribute.value),
        });
        writer.open(self.name, self.namespace, attributes);
        writer.content();
    }
}

fn is_same(a: (&Tree, NodeId), b: (&Tree, NodeId)) -> bool {
    std::ptr::eq(a.0, b.0) && a.1 == b.1
}

impl<'a> Content<'a> {
    /// The content as separate pieces.
    pub fn opened(self, meter: &Meter) -> Result<Vec<Piece<'a>>, Over> {
        let (tree, node) = match self {
            Self::Made(pieces) => return Ok(pieces),
            Self::Whole(tree, node) => (tree, node),
        };
        let mut pieces = Vec::new();
        for child in tree.children(node) {
            meter.make(1, size_of::<Piece<'_>>())?;
            pieces.push(Piece::Source(tree, child));
        }
        Ok(pieces)
    }

    pub fn is_empty(&self) -> bool {
        match self {
            Self::Whole(tree, node) => tree.children(*node).next().is_none(),
            Self::Made(pieces) => pieces.is_empty(),
        }
    }

    fn least_bytes(&self) -> usize {
        match self {
            Self::Whole(tree, node) => tree.least_bytes_below(*node),
            Self::Made(pieces) => pieces.iter().map(Piece::least_bytes).sum(),
        }
    }

    /// Writes the content below an element that was made from `around`.
    fn write(&self, writer: &mut Writer, around: (&Tree, NodeId)) {
        match self {
            Self::Whole(tree, node) if is_same((tree, *node), around) => {
                writer.children(tree, *node);
            }
            Self::Whole(tree, node) => {
                for child in tree.children(*node) {
                    Piece::Source(tree, child).write(writer, around);
                }
            }
            Self::Made(pieces) => pieces.iter().for_each(|piece| piece.write(writer, around)),
        }
    }
}

impl<'a> Piece<'a> {
    /// Writes the piece below an element that was made from `around`. A piece from elsewhere brings
    /// the namespaces that were in scope there.
    fn write(&self, writer: &mut Writer, around: (&Tree, NodeId)) {
        if let Some((tree, node)) = self.origin()
            && !tree
                .parent(node)
                .is_some_and(|above| is_same((tree, above), around))
        {
            writer.bring_scope(tree, node);
        }
        match self {
            Self::Source(tree, node) => writer.node(tree, *node),
            Self::Element(element) => {
                element.open(writer);
                element.content.write(writer, element.origin);
                writer.close(element.name);
            }
        }
    }

    fn least_bytes(&self) -> usize {
        match self {
            Self::Source(tree, node) => tree.least_bytes(*node),
            Self::Element(element) => element.least_bytes(),
        }
    }

    /// The text, if the piece is a text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Source(tree, node) if tree.kind(*node) == Kind::Text => Some(tree.text(*node)),
            _ => None,
        }
    }

    /// The piece as an element, if it is one.
    pub fn into_element(self, meter: &Meter) -> Result<Box<Element<'a>>, Over> {
        match self {
            Self::Source(tree, node) => Element::of(meter, tree, node),
            Self::Element(element) => Ok(element),
        }
    }

    pub fn is_element(&self) -> bool {
        match self {
            Self::Source(tree, node) => tree.is_element(*node),
            Self::Element(_) => true,
        }
    }

    /// Returns whether the piece, or a descendant, may have references.
    pub fn refers(&self) -> bool {
        match self {
            Self::Source(tree, node) => tree.is_element(*node) && tree.refers(*node),
            Self::Element(_) => true,
        }
    }

    /// The name as written, if the piece is an element.
    pub fn name(&self) -> Option<&'a str> {
        match self {
            Self::Source(tree, node) if tree.is_element(*node) => Some(tree.name(*node)),
            Self::Source(..) => None,
            Self::Element(element) => Some(element.name),
        }
    }

    /// The local name and the namespace, if the piece is an element.
    pub fn tag(&self) -> Option<(&'a str, &'a str)> {
        let namespace = match self {
            Self::Source(tree, node) => tree.namespace(*node),
            Self::Element(element) => element.namespace,
        };
        Some((local_name(self.name()?), namespace))
    }

    /// The source element, if the piece is an element.
    pub fn origin(&self) -> Option<(&'a Tree, NodeId)> {
        match self {
            Self::Source(tree, node) if tree.is_element(*node) => Some((tree, *node)),
            Self::Source(..) => None,
            Self::Element(element) => Some(element.origin),
        }
    }

    pub fn attribute(&self, name: &str) -> Option<&str> {
        match self {
            Self::Source(tree, node) => tree.attribute(*node, name),
            Self::Element(element) => element.attribute(name),
        }
    }
}

//! From nodes to text.

use std::borrow::Cow;

use super::parse::declared_prefix;
use super::tree::{Kind, NodeId, Tree};
use super::well_formed::{self, XML_NAMESPACE};

/// Writes XML, and declares whatever namespace a copied element brings with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writer {
    pub text: String,
    /// The bindings in scope, outermost first, each with the number of open elements when it
    /// was made.
    bindings: Vec<(usize, String, String)>,
    depth: usize,
}

/// An attribute to be written.
pub(crate) struct Written<'a> {
    pub name: &'a str,
    pub namespace: &'a str,
    pub value: Cow<'a, str>,
}

impl Writer {
    pub fn node(&mut self, tree: &Tree, id: NodeId) {
        match tree.kind(id) {
            Kind::Root => self.children(tree, id),
            Kind::Element => {
                let attributes = tree.attributes(id).map(|attribute| Written {
                    name: attribute.name,
                    namespace: attribute.namespace,
                    value: Cow::Borrowed(attribute.value),
                });
                self.open(tree.name(id), tree.namespace(id), attributes);
                if tree.children(id).next().is_none() {
                    self.close_empty();
                } else {
                    self.content();
                    self.children(tree, id);
                    self.close(tree.name(id));
                }
            }
            Kind::Text => self.characters(tree.text(id)),
            Kind::Comment => self.comment(tree.text(id)),
            Kind::Instruction => self.instruction(tree.name(id), tree.text(id)),
        }
    }

    pub fn children(&mut self, tree: &Tree, id: NodeId) {
        for child in tree.children(id) {
            self.node(tree, child);
        }
    }

    /// Writes a start tag up to its end; [`Self::content`] or [`Self::close_empty`] follows.
    pub fn open<'a>(
        &mut self,
        name: &str,
        namespace: &str,
        attributes: impl Iterator<Item = Written<'a>>,
    ) {
        self.text.push('<');
        self.text.push_str(name);
        let depth = self.depth;
        let mut needed: Vec<(String, String)> = Vec::new();
        let mut need = |qualified: &str, namespace: &str, attribute: bool| {
            let prefix = well_formed::prefix(qualified).unwrap_or_default();
            if !(attribute && prefix.is_empty()) {
                needed.push((prefix.to_owned(), namespace.to_owned()));
            }
        };
        if !namespace.is_empty() || !self.bindings.is_empty() {
            need(name, namespace, false);
        }
        for attribute in attributes {
            if let Some(prefix) = declared_prefix(attribute.name) {
                let binding = (depth, prefix.to_owned(), attribute.value.to_string());
                self.bindings.push(binding);
            } else if !attribute.namespace.is_empty() {
                need(attribute.name, attribute.namespace, true);
            }
            self.attribute(attribute.name, &attribute.value);
        }
        for (prefix, namespace) in needed {
            self.declare(prefix, namespace);
        }
        self.depth += 1;
    }

    fn declare(&mut self, prefix: String, namespace: String) {
        let bound = self.bindings.iter().rev().find(|(_, p, _)| *p == prefix);
        let bound = bound.map_or("", |(_, _, namespace)| namespace);
        if bound == namespace || namespace == XML_NAMESPACE {
            return;
        }
        if prefix.is_empty() {
            self.attribute("xmlns", &namespace);
        } else {
            self.attribute(&format!("xmlns:{prefix}"), &namespace);
        }
        self.bindings.push((self.depth, prefix, namespace));
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.text.push(' ');
        self.text.push_str(name);
        self.text.push_str("=\"");
        escape(&mut self.text, value, true);
        self.text.push('"');
    }

    pub fn content(&mut self) {
        self.text.push('>');
    }

    pub fn close_empty(&mut self) {
        self.text.push_str("/>");
        self.leave();
    }

    pub fn close(&mut self, name: &str) {
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push('>');
        self.leave();
    }

    fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        let depth = self.depth;
        while self.bindings.last().is_some_and(|(at, ..)| *at >= depth) {
            self.bindings.pop();
        }
    }

    pub fn characters(&mut self, text: &str) {
        escape(&mut self.text, text, false);
    }

    pub fn comment(&mut self, text: &str) {
        self.text.push_str("<!--");
        self.text.push_str(text);
        self.text.push_str("-->");
    }

    pub fn instruction(&mut self, target: &str, data: &str) {
        self.text.push_str("<?");
        self.text.push_str(target);
        if !data.is_empty() {
            self.text.push(' ');
            self.text.push_str(data);
        }
        self.text.push_str("?>");
    }
}

/// Escapes what a reader would take for something else, or would normalise away.
fn escape(out: &mut String, text: &str, attribute: bool) {
    let special = |b: &u8| {
        matches!(b, b'&' | b'<' | b'>' | b'\r') || attribute && matches!(b, b'"' | b'\t' | b'\n')
    };
    let mut rest = text;
    while let Some(at) = rest.as_bytes().iter().position(special) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'\r' => "&#xD;",
            b'"' => "&quot;",
            b'\t' => "&#x9;",
            _ => "&#xA;",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

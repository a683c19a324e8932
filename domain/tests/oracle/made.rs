//! The result of an element, and the form in which results are compared.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::tree::{Bindings, Name, Piece, Tree};

/// A text or an attribute value, with the namespaces of the prefixes in it.
#[derive(Clone, Debug, Default)]
pub struct Value {
    pub text: String,
    pub bindings: Bindings,
}

pub type Text = Value;

/// The key of the counterpart search: the element as it was written.
#[derive(Clone, Debug, Default)]
pub struct Key {
    pub tag: Name,
    pub name: Option<String>,
    pub id: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Made {
    pub name: Name,
    pub key: Key,
    pub attributes: BTreeMap<Name, Value>,
    /// All the text of an element without child elements; otherwise the text before the first
    /// child.
    pub text: Text,
    /// Every child with the text that follows it.
    pub children: Vec<(Made, Text)>,
    /// Comments and processing instructions, at any position.
    pub notes: Vec<String>,
}

/// Whether a text has only XML white space.
pub fn is_blank(text: &Text) -> bool {
    text.text.chars().all(|c| " \t\r\n".contains(c))
}

impl Key {
    pub fn of(made: &Made) -> Self {
        let value = |local: &str| {
            let value = made.attributes.get(&(String::new(), local.to_owned()));
            value.map(|value| value.text.clone())
        };
        Self {
            tag: made.name.clone(),
            name: value("name"),
            id: value("id"),
        }
    }
}

impl Made {
    /// A hydrated element. XML in an attribute is parsed, and compared in its own form.
    pub fn given(tree: &Tree, at: usize) -> Self {
        let mut made = Self::written(tree, at);
        made.form_values();
        made
    }

    fn form_values(&mut self) {
        for value in self.attributes.values_mut() {
            if value.text.starts_with('<') {
                let text = Self::written(&Tree::of(&value.text), 0).literal().form();
                *value = Value {
                    text,
                    bindings: Bindings::default(),
                };
            }
        }
        self.children
            .iter_mut()
            .for_each(|(child, _)| child.form_values());
    }

    /// The element with its values as plain strings. XML in an attribute is like this: it brings no
    /// more namespaces than its own names need.
    pub fn literal(mut self) -> Self {
        let values = self.attributes.values_mut().chain([&mut self.text]);
        values.for_each(|value| value.bindings = Bindings::default());
        let children = std::mem::take(&mut self.children).into_iter();
        let literal = |(child, tail): (Self, Text)| {
            let bindings = Bindings::default();
            (child.literal(), Value { bindings, ..tail })
        };
        self.children = children.map(literal).collect();
        self
    }

    /// An element as it was written.
    pub fn written(tree: &Tree, at: usize) -> Self {
        let element = &tree.0[at];
        let value = |text: &str| Value {
            text: text.to_owned(),
            bindings: element.bindings.clone(),
        };
        let attributes = element.attributes.iter();
        let mut made = Self {
            name: element.name.clone(),
            key: Key::default(),
            attributes: attributes.map(|(k, v)| (k.clone(), value(v))).collect(),
            text: value(""),
            children: Vec::new(),
            notes: Vec::new(),
        };
        for piece in &element.content {
            match piece {
                Piece::Text(text) => {
                    let last = made.children.last_mut().map(|(_, tail)| tail);
                    last.unwrap_or(&mut made.text).text.push_str(text);
                }
                Piece::Element(child) => {
                    made.children.push((Self::written(tree, *child), value("")));
                }
                Piece::Note(note) => made.notes.push(note.clone()),
            }
        }
        made.key = Key::of(&made);
        made
    }

    /// Drops the written form, at any depth.
    pub fn settle(&mut self) {
        self.key = Key::of(self);
        self.children
            .iter_mut()
            .for_each(|(child, _)| child.settle());
    }

    /// Gives a task its number, as its last child.
    pub fn number(&mut self, number: usize) {
        let vndb = Tree::of(&format!("<vndb externalId='{number}'/>"));
        let vndb = Self::written(&vndb, 0);
        self.children.push((vndb, Text::default()));
    }

    /// The form for comparisons: names expanded, and white space between elements left out. The
    /// notes are listed separately, because no contract fixes their positions.
    pub fn form(&self) -> String {
        let (mut out, mut notes) = (String::new(), Vec::new());
        self.put(&mut out, &mut notes);
        notes.sort_unstable();
        format!("{out} {}", notes.join(""))
    }

    fn put<'a>(&'a self, out: &mut String, notes: &mut Vec<&'a str>) {
        let _ = write!(out, "<{}", clark(&self.name));
        for (name, value) in &self.attributes {
            let _ = write!(out, " {}='{}'", clark(name), bound(value));
        }
        out.push('>');
        notes.extend(self.notes.iter().map(String::as_str));
        // No contract says which of two blank texts is kept when they are merged.
        if !is_blank(&self.text) {
            out.push_str(&bound(&self.text));
        }
        for (child, tail) in &self.children {
            child.put(out, notes);
            if !is_blank(tail) {
                out.push_str(&bound(tail));
            }
        }
        out.push_str("</>");
    }
}

fn clark((space, local): &Name) -> String {
    if space.is_empty() {
        return local.clone();
    }
    format!("{{{space}}}{local}")
}

/// The value with its prefix replaced by the namespace.
fn bound(value: &Value) -> String {
    match value.text.split_once(':') {
        Some((prefix, local)) if value.bindings.contains_key(prefix) => {
            format!("{{{}}}{local}", value.bindings[prefix])
        }
        _ => value.text.clone(),
    }
}

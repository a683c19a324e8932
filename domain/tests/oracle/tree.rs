//! A document as a minimal tree, so that its meaning is plain.

use std::collections::BTreeMap;
use std::rc::Rc;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// An expanded name: namespace and local name.
pub type Name = (String, String);

/// The namespaces that prefixes are bound to at one position.
pub type Bindings = Rc<BTreeMap<String, String>>;

#[derive(Clone, Debug)]
pub enum Piece {
    Text(String),
    Element(usize),
    /// A comment or a processing instruction, as it is written.
    Note(String),
}

#[derive(Clone, Debug)]
pub struct Element {
    pub name: Name,
    pub attributes: Vec<(Name, String)>,
    pub bindings: Bindings,
    pub content: Vec<Piece>,
    pub parent: Option<usize>,
}

/// The elements of a document in document order; the first is the document element.
pub struct Tree(pub Vec<Element>);

impl Tree {
    pub fn of(xml: &str) -> Self {
        let outside = Bindings::default();
        let mut reader = Reader::from_str(xml);
        let (mut elements, mut open) = (Vec::<Element>::new(), Vec::new());
        loop {
            let from = usize::try_from(reader.buffer_position()).unwrap();
            let event = reader.read_event().unwrap_or_else(|e| panic!("{e}: {xml}"));
            let to = usize::try_from(reader.buffer_position()).unwrap();
            let piece = match &event {
                Event::Start(tag) | Event::Empty(tag) => {
                    let parent = open.last().copied();
                    let scope = parent.map_or(&outside, |at: usize| &elements[at].bindings);
                    let mut element = element(tag, scope);
                    element.parent = parent;
                    let index = elements.len();
                    elements.push(element);
                    if let Some(parent) = parent {
                        elements[parent].content.push(Piece::Element(index));
                    }
                    if matches!(event, Event::Start(_)) {
                        open.push(index);
                    }
                    continue;
                }
                Event::End(_) => {
                    open.pop();
                    continue;
                }
                Event::Text(text) => Piece::Text(text.xml10_content().into_owned()),
                Event::CData(text) => Piece::Text(text.xml10_content().into_owned()),
                Event::GeneralRef(_) => Piece::Text(
                    quick_xml::escape::unescape(&xml[from..to])
                        .unwrap()
                        .into_owned(),
                ),
                Event::Comment(_) | Event::PI(_) => Piece::Note(xml[from..to].to_owned()),
                Event::Eof => return Self(elements),
                other => panic!("{other:?} is not expected"),
            };
            if let Some(parent) = open.last() {
                elements[*parent].content.push(piece);
            }
        }
    }

    pub fn attribute(&self, element: usize, local: &str) -> Option<&str> {
        let attributes = &self.0[element].attributes;
        let found = attributes
            .iter()
            .find(|((ns, name), _)| ns.is_empty() && name == local);
        found.map(|(_, value)| value.as_str())
    }

    pub fn children(&self, element: usize) -> Vec<usize> {
        let pieces = self.0[element].content.iter();
        pieces
            .filter_map(|piece| match piece {
                Piece::Element(child) => Some(*child),
                _ => None,
            })
            .collect()
    }

    /// Whether an element of no namespace has this name.
    pub fn is(&self, element: usize, local: &str) -> bool {
        let (space, name) = &self.0[element].name;
        space.is_empty() && name == local
    }

    /// The element and all its ancestors.
    pub fn way(&self, element: usize) -> Vec<usize> {
        std::iter::successors(Some(element), |at| self.0[*at].parent).collect()
    }
}

fn element(tag: &BytesStart, scope: &Bindings) -> Element {
    let mut bindings = BTreeMap::clone(scope);
    let mut attributes = Vec::new();
    for attribute in tag.attributes() {
        let attribute = attribute.unwrap();
        let key = attribute.key.as_ref().to_owned();
        let value = attribute.normalized_value(quick_xml::XmlVersion::Explicit1_0);
        let value = value.unwrap().into_owned();
        if key == "xmlns" {
            bindings.insert(String::new(), value);
        } else if let Some(prefix) = key.strip_prefix("xmlns:") {
            bindings.insert(prefix.to_owned(), value);
        } else {
            attributes.push((key, value));
        }
    }
    let expanded = |written: &str, default: &str| match written.split_once(':') {
        Some((prefix, local)) => (bindings[prefix].clone(), local.to_owned()),
        None => (default.to_owned(), written.to_owned()),
    };
    let default = bindings.get("").map_or("", String::as_str);
    let name = expanded(tag.name().as_ref(), default);
    let attributes = attributes
        .into_iter()
        .map(|(key, value)| (expanded(&key, ""), value))
        .collect();
    Element {
        name,
        attributes,
        bindings: Rc::new(bindings),
        content: Vec::new(),
        parent: None,
    }
}

//! Tags and their attributes.

use std::collections::HashSet;

use quick_xml::XmlVersion;
use quick_xml::events::BytesStart;
use quick_xml::events::attributes::AttrError;

use super::{Parser, declared_prefix, malformed, over};
use crate::document::refusal::Refusal;
use crate::document::tree::{NameId, NodeId};
use crate::document::well_formed;

/// The depth down to which the parser keeps the offsets of elements: the root and its children.
const PLACES_KEPT_TO: usize = 2;

/// Up to this many names a linear search is used; for more, a hash set.
const FEW: usize = 16;

/// The attribute names of an element so far.
#[derive(Default)]
struct Seen {
    few: Vec<NameId>,
    many: HashSet<NameId>,
}

impl Seen {
    fn insert(&mut self, name: NameId) -> bool {
        if self.few.len() < FEW {
            let new = !self.few.contains(&name);
            self.few.push(name);
            return new;
        }
        !self.few.contains(&name) && self.many.insert(name)
    }
}

/// The refusal for a library error about an attribute, at the position that the library names.
fn of_attribute(error: &AttrError) -> Refusal {
    let (at, reason) = match *error {
        AttrError::ExpectedEq(at) => (at, "an attribute needs = and a value"),
        AttrError::ExpectedValue(at) => (at, "an attribute needs a value after ="),
        AttrError::UnquotedValue(at) => (at, "the value of an attribute needs quotes"),
        AttrError::ExpectedQuote(at, _) => (at, "the quotes of an attribute's value do not match"),
        AttrError::Duplicated(at, _) => (at, "an attribute is there twice"),
    };
    malformed(reason).within(at)
}

/// The offset of a name in a tag.
fn place_of(name: &str, tag: &str) -> usize {
    let written = |at: usize| at == 0 || tag[..at].ends_with([' ', '\t', '\r', '\n']);
    let mut places = tag.match_indices(name).map(|(at, _)| at);
    places.find(|at| written(*at)).unwrap_or(0)
}

impl Parser<'_> {
    pub(super) fn start(&mut self, tag: &BytesStart<'_>, empty: bool) -> Result<(), Refusal> {
        if self.open.is_empty() && std::mem::replace(&mut self.has_root, true) {
            return Err(malformed("more than one root element"));
        }
        if self.open.len() >= self.limits.max_depth {
            return Err(over("levels of nesting", self.limits.max_depth));
        }
        let name = tag.name().into_inner();
        self.check_name(name)?;
        let parent = self.parent();
        let element = self.tree.append_element(parent, name);
        if self.open.len() < PLACES_KEPT_TO {
            self.starts.push((element, self.event_start));
        }
        self.attributes(element, tag)?;
        self.resolve(element)
            .map_err(|(name, fault)| self.in_piece(tag, fault.within(place_of(&name, tag))))?;
        if empty {
            self.leave_scope();
        } else {
            self.open.push(element);
        }
        Ok(())
    }

    pub(super) fn end(&mut self) {
        self.open.pop();
        self.leave_scope();
    }

    fn check_name(&self, name: &str) -> Result<(), Refusal> {
        if name.len() > self.limits.max_name_bytes {
            return Err(over("bytes of a name", self.limits.max_name_bytes));
        }
        well_formed::qualified_name(name)
    }

    fn attributes(&mut self, element: NodeId, tag: &BytesStart<'_>) -> Result<(), Refusal> {
        let raw = tag.attributes_raw();
        well_formed::attribute_spacing(raw).map_err(|fault| self.in_piece(raw, fault))?;
        let mut seen = Seen::default();
        // The code below checks for duplicates, because the library's own check is quadratic.
        for attribute in tag.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| self.in_piece(tag, of_attribute(&error)))?;
            let name = attribute.key.into_inner();
            self.check_name(name)
                .map_err(|fault| self.in_piece(name, fault))?;
            let interned = self.tree.intern(name);
            if !seen.insert(interned) {
                let fault = malformed(format!("the attribute {name} is there twice"));
                return Err(self.in_piece(name, fault));
            }
            if self.tree.attribute_count(element) >= self.limits.max_attributes {
                return Err(over("attributes of an element", self.limits.max_attributes));
            }
            if let Some(at) = attribute.value.find('<') {
                let fault = malformed(format!("< in the value of {name}: write &lt;"));
                return Err(self.in_piece(&attribute.value, fault.within(at)));
            }
            well_formed::characters(&attribute.value)
                .map_err(|fault| self.in_piece(&attribute.value, fault))?;
            let value = attribute
                .normalized_value(XmlVersion::Explicit1_0)
                .map_err(|error| well_formed::faulty_reference(&attribute.value, &error))
                .map_err(|fault| self.in_piece(&attribute.value, fault))?;
            well_formed::characters(&value)
                .map_err(|fault| well_formed::faulty_reference(&attribute.value, &fault))
                .map_err(|fault| self.in_piece(&attribute.value, fault))?;
            self.tree.add_attribute(element, interned, &value);
            if let Some(prefix) = declared_prefix(name) {
                self.bind(prefix, &value)?;
            }
        }
        Ok(())
    }
}

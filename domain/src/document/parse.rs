//! From text to a tree. quick-xml reads the events; what it leaves unchecked is checked here.

use std::collections::HashSet;

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::decode::decode;
use super::limits::Limits;
use super::refusal::{Cause, Refusal};
use super::tree::{NodeId, Tree};
use super::well_formed;

/// Parses any XML document.
pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Tree, Refusal> {
    if bytes.len() > limits.max_bytes {
        return Err(Refusal::new(
            Cause::TooLarge,
            format!("the document is larger than {} bytes", limits.max_bytes),
        ));
    }
    let text = decode(bytes)?;
    let mut parser = Parser::new(&text, limits);
    let parsed = parser.run();
    let at = parser.event_start;
    parsed.map_err(|refusal| {
        if refusal.line().is_some() {
            refusal
        } else {
            refusal.at(&text, at)
        }
    })?;
    let mut tree = parser.tree;
    tree.mark_references();
    Ok(tree)
}

struct Parser<'a> {
    text: &'a str,
    limits: &'a Limits,
    reader: Reader<&'a [u8]>,
    tree: Tree,
    open: Vec<NodeId>,
    /// The bindings of prefixes in scope, with the depth they were made at.
    bindings: Vec<(usize, String, String)>,
    has_root: bool,
    event_start: usize,
}

fn malformed(reason: impl Into<String>) -> Refusal {
    Refusal::new(Cause::Malformed, reason)
}

fn over(what: &str, limit: usize) -> Refusal {
    Refusal::new(
        Cause::Limit,
        format!("{what}: more than {limit} are not accepted"),
    )
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, limits: &'a Limits) -> Self {
        let mut reader = Reader::from_str(text);
        let config = reader.config_mut();
        config.check_comments = true;
        config.check_end_names = true;
        Self {
            text,
            limits,
            reader,
            tree: Tree::new(),
            open: Vec::new(),
            bindings: Vec::new(),
            has_root: false,
            event_start: 0,
        }
    }

    fn position(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX)
    }

    fn parent(&self) -> NodeId {
        self.open
            .last()
            .copied()
            .unwrap_or_else(|| self.tree.root())
    }

    fn run(&mut self) -> Result<(), Refusal> {
        loop {
            self.event_start = self.position();
            let event = self.reader.read_event().map_err(|error| {
                let at = usize::try_from(self.reader.error_position()).unwrap_or(usize::MAX);
                malformed(error.to_string()).at(self.text, at)
            })?;
            match event {
                Event::Start(tag) => self.start(&tag, false)?,
                Event::Empty(tag) => self.start(&tag, true)?,
                Event::End(_) => self.end(),
                Event::Text(text) => {
                    let text = text.into_inner();
                    well_formed::text(&text)?;
                    self.append(&normal_ends(&text))?;
                }
                Event::CData(data) => {
                    let data = data.into_inner();
                    well_formed::characters(&data)?;
                    if self.open.is_empty() {
                        return Err(malformed("text outside the root element"));
                    }
                    self.append(&normal_ends(&data))?;
                }
                Event::GeneralRef(reference) => self.reference(&reference)?,
                Event::Comment(text) => {
                    let text = text.into_inner();
                    well_formed::characters(&text)?;
                    let parent = self.parent();
                    self.tree.append_comment(parent, &normal_ends(&text));
                }
                Event::PI(instruction) => {
                    well_formed::name(instruction.target())?;
                    if instruction.target().eq_ignore_ascii_case("xml") {
                        return Err(malformed("an XML declaration is only for the beginning"));
                    }
                    let data = instruction.content().trim_start();
                    well_formed::characters(data)?;
                    let parent = self.parent();
                    self.tree
                        .append_instruction(parent, instruction.target(), &normal_ends(data));
                }
                Event::Decl(_) => {
                    if self.event_start != 0 {
                        return Err(malformed("an XML declaration is only for the beginning"));
                    }
                }
                Event::DocType(_) => {
                    return Err(Refusal::new(
                        Cause::Doctype,
                        "a DOCTYPE is not accepted: write the document without one",
                    ));
                }
                Event::Eof => return self.finish(),
            }
            if self.tree.len() > self.limits.max_nodes {
                return Err(over("nodes", self.limits.max_nodes));
            }
        }
    }

    fn finish(&self) -> Result<(), Refusal> {
        match self.open.last() {
            Some(open) => {
                let name = self.tree.name(*open);
                Err(malformed(format!("the document ends before </{name}>")))
            }
            None if !self.has_root => Err(malformed("the document has no element")),
            None => Ok(()),
        }
    }

    fn append(&mut self, text: &str) -> Result<(), Refusal> {
        if self.open.is_empty() {
            if text.trim_ascii().is_empty() {
                return Ok(());
            }
            return Err(malformed("text outside the root element"));
        }
        let parent = self.parent();
        self.tree.append_text(parent, text);
        Ok(())
    }

    fn reference(&mut self, reference: &BytesRef<'_>) -> Result<(), Refusal> {
        if self.open.is_empty() {
            return Err(malformed("text outside the root element"));
        }
        let parent = self.parent();
        if let Some(character) = reference
            .resolve_char_ref()
            .map_err(|error| malformed(error.to_string()))?
        {
            well_formed::characters(character.encode_utf8(&mut [0; 4]))?;
            self.tree
                .append_text(parent, character.encode_utf8(&mut [0; 4]));
            return Ok(());
        }
        let Some(text) = resolve_predefined_entity(reference) else {
            let name: &str = reference;
            return Err(malformed(format!("&{name}; is not declared")));
        };
        self.tree.append_text(parent, text);
        Ok(())
    }

    fn start(&mut self, tag: &BytesStart<'_>, empty: bool) -> Result<(), Refusal> {
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
        self.attributes(element, tag)?;
        self.resolve(element)?;
        if empty {
            self.leave_scope();
        } else {
            self.open.push(element);
        }
        Ok(())
    }

    fn end(&mut self) {
        self.open.pop();
        self.leave_scope();
    }

    /// Bindings made deeper than what is open now are over.
    fn leave_scope(&mut self) {
        let depth = self.open.len();
        while self.bindings.last().is_some_and(|(at, ..)| *at >= depth) {
            self.bindings.pop();
        }
    }

    fn check_name(&self, name: &str) -> Result<(), Refusal> {
        if name.len() > self.limits.max_name_bytes {
            return Err(over("bytes of a name", self.limits.max_name_bytes));
        }
        well_formed::qualified_name(name)
    }

    fn attributes(&mut self, element: NodeId, tag: &BytesStart<'_>) -> Result<(), Refusal> {
        well_formed::attribute_spacing(tag.attributes_raw())?;
        let mut seen = HashSet::new();
        // Duplicates are checked below: the library's own check is quadratic.
        for attribute in tag.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| malformed(error.to_string()))?;
            let name = attribute.key.into_inner();
            self.check_name(name)?;
            if !seen.insert(name.to_owned()) {
                return Err(malformed(format!("the attribute {name} is there twice")));
            }
            if seen.len() > self.limits.max_attributes {
                return Err(over("attributes of an element", self.limits.max_attributes));
            }
            if attribute.value.contains('<') {
                return Err(malformed(format!("< in the value of {name}: write &lt;")));
            }
            let value = attribute
                .normalized_value(XmlVersion::Explicit1_0)
                .map_err(|error| malformed(format!("the value of {name}: {error}")))?;
            well_formed::characters(&value)?;
            self.tree.add_attribute(element, name, &value);
            if let Some(prefix) = declared_prefix(name) {
                well_formed::binding(prefix, &value)?;
                let depth = self.open.len();
                self.bindings
                    .push((depth, prefix.to_owned(), value.into_owned()));
            }
        }
        Ok(())
    }

    /// Finds the namespaces of an element and its attributes.
    fn resolve(&mut self, element: NodeId) -> Result<(), Refusal> {
        if self.bindings.is_empty() && !self.tree.name(element).contains(':') {
            let plain = self.tree.attributes(element).all(|a| !a.name.contains(':'));
            if plain {
                return Ok(());
            }
        }
        let prefix = well_formed::prefix(self.tree.name(element)).unwrap_or_default();
        let namespace = self.bound(prefix)?;
        self.tree.set_namespace(element, &namespace);
        let mut expanded = HashSet::new();
        for index in 0..self.tree.attribute_count(element) {
            let name = self.tree.attribute_at(element, index).name;
            if declared_prefix(name).is_some() {
                continue;
            }
            let Some(prefix) = well_formed::prefix(name) else {
                continue;
            };
            let local = name[prefix.len() + 1..].to_owned();
            let namespace = self.bound(prefix)?;
            if !expanded.insert((namespace.clone(), local.clone())) {
                return Err(malformed(format!("the attribute {local} is there twice")));
            }
            self.tree
                .set_attribute_namespace(element, index, &namespace);
        }
        Ok(())
    }

    fn bound(&self, prefix: &str) -> Result<String, Refusal> {
        if prefix == "xml" {
            return Ok(well_formed::XML_NAMESPACE.to_owned());
        }
        let binding = self.bindings.iter().rev().find(|(_, p, _)| p == prefix);
        match binding {
            Some((_, _, namespace)) => Ok(namespace.clone()),
            None if prefix.is_empty() => Ok(String::new()),
            None => Err(malformed(format!("the prefix {prefix} is not bound"))),
        }
    }
}

/// The prefix that an attribute of this name binds; the empty one for the default namespace.
pub(crate) fn declared_prefix(name: &str) -> Option<&str> {
    match name.strip_prefix("xmlns") {
        Some("") => Some(""),
        Some(rest) => rest.strip_prefix(':'),
        None => None,
    }
}

/// Line ends are one character, as XML 1.0 section 2.11 says.
fn normal_ends(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n").into()
    } else {
        text.into()
    }
}

//! Writes nodes as text.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::budget::Over;
use super::limits::Limits;
use super::parse::declared_prefix;
use super::tree::{Kind, NodeId, Tree};
use super::well_formed::{self, XML_NAMESPACE};

/// Writes XML, and declares every namespace that a copied element brings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writer {
    pub text: String,
    /// The limits at which the writer gives up; `None` for no limits.
    bounds: Option<Bounds>,
    /// The limit that was exceeded first.
    over: Option<Over>,
    /// The bindings in scope, outermost first, each with the number of open elements when it was
    /// made.
    bindings: Vec<(usize, String, String)>,
    depth: usize,
    /// The bindings that the next element must declare unless they are in scope.
    brought: Vec<(String, String)>,
}

/// The limits on written documents, so that they can be read again.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    bytes: usize,
    depth: usize,
    namespaces: usize,
}

/// An attribute to write.
pub(crate) struct Written<'a> {
    pub name: &'a str,
    pub namespace: &'a str,
    pub value: Cow<'a, str>,
}

impl Written<'_> {
    fn is_plain(&self) -> bool {
        self.namespace.is_empty() && declared_prefix(self.name).is_none()
    }
}

impl Writer {
    /// A writer that gives up soon after this many bytes. Its text is then useless.
    pub fn up_to(bytes: usize) -> Self {
        Self {
            bounds: Some(Bounds {
                bytes,
                depth: usize::MAX,
                namespaces: usize::MAX,
            }),
            ..Self::default()
        }
    }

    /// A writer for hydrated content, with the same limits as for documents that are read.
    pub fn within(limits: &Limits) -> Self {
        Self {
            bounds: Some(Bounds {
                bytes: limits.max_hydrated_bytes,
                depth: limits.max_depth,
                namespaces: limits.max_namespaces,
            }),
            ..Self::default()
        }
    }

    /// A copy with room for this many more bytes.
    pub fn with_room(&self, bytes: usize) -> Self {
        let mut text = String::with_capacity(self.text.len() + bytes);
        text.push_str(&self.text);
        Self {
            text,
            bounds: self.bounds,
            over: self.over,
            bindings: self.bindings.clone(),
            depth: self.depth,
            brought: Vec::new(),
        }
    }

    /// The limit that was exceeded, if any.
    pub fn over(&self) -> Option<Over> {
        let bytes = self.bounds.map(|bounds| bounds.bytes);
        let bytes = bytes.filter(|bytes| self.text.len() > *bytes);
        self.over
            .or(bytes.map(|bytes| Over::HydratedBytes(bytes as u64)))
    }

    pub fn is_over(&self) -> bool {
        self.over().is_some()
    }

    fn check(&mut self) {
        let Some(bounds) = self.bounds.filter(|_| self.over.is_none()) else {
            return;
        };
        if self.depth > bounds.depth {
            self.over = Some(Over::Depth(bounds.depth as u64));
        } else if self.bindings.len() > bounds.namespaces {
            self.over = Some(Over::Namespaces(bounds.namespaces as u64));
        } else if self.text.len() > bounds.bytes {
            self.over = Some(Over::HydratedBytes(bounds.bytes as u64));
        }
    }

    /// Makes the next element declare the namespaces that are in scope at its source. Its text and
    /// its attribute values may use those prefixes.
    pub fn bring_scope(&mut self, tree: &Tree, element: NodeId) {
        let bindings = tree.in_scope(element).into_iter();
        self.brought = bindings
            .map(|(name, namespace)| (declared_prefix(name).unwrap_or_default(), namespace))
            .filter(|(prefix, namespace)| self.bound(prefix) != *namespace)
            .map(|(prefix, namespace)| (prefix.to_owned(), namespace.to_owned()))
            .collect();
    }

    /// The namespace of a prefix; empty if the prefix is not bound.
    fn bound(&self, prefix: &str) -> &str {
        let bindings = self.bindings.iter().rev();
        let mut bound = bindings.filter(|(_, known, _)| known == prefix);
        bound.next().map_or("", |(_, _, namespace)| namespace)
    }

    /// Writes a node with all its descendants.
    pub fn node(&mut self, tree: &Tree, id: NodeId) {
        if tree.kind(id) == Kind::Root {
            return self.children(tree, id);
        }
        let end = tree.after(id);
        let mut open: Vec<NodeId> = Vec::new();
        let mut next = Some(id);
        while let Some(node) = next.filter(|node| Some(*node) != end) {
            while let Some(done) = open.pop_if(|above| tree.parent(node) != Some(*above)) {
                self.close(tree.name(done));
            }
            if self.is_over() {
                return;
            }
            if self.single(tree, node) {
                open.push(node);
            }
            next = tree.following(node);
        }
        while let Some(done) = open.pop() {
            self.close(tree.name(done));
        }
    }

    /// Writes a node without its descendants. Returns whether the caller must close it afterwards.
    fn single(&mut self, tree: &Tree, id: NodeId) -> bool {
        match tree.kind(id) {
            Kind::Root => {}
            Kind::Element => {
                let attributes = tree.attributes(id).map(|attribute| Written {
                    name: attribute.name,
                    namespace: attribute.namespace,
                    value: Cow::Borrowed(attribute.value),
                });
                self.open(tree.name(id), tree.namespace(id), attributes);
                if tree.children(id).next().is_some() {
                    self.content();
                    return true;
                }
                self.close_empty();
            }
            Kind::Text => self.characters(tree.text(id)),
            Kind::Comment => self.comment(tree.text(id)),
            Kind::Instruction => self.instruction(tree.name(id), tree.text(id)),
        }
        false
    }

    pub fn children(&mut self, tree: &Tree, id: NodeId) {
        for child in tree.children(id) {
            self.node(tree, child);
        }
    }

    /// Writes a start tag without its end; [`Self::content`] or [`Self::close_empty`] follows.
    pub fn open<'a>(
        &mut self,
        name: &str,
        namespace: &str,
        attributes: impl Iterator<Item = Written<'a>>,
    ) {
        self.text.push('<');
        self.text.push_str(name);
        let mut attributes = attributes.peekable();
        if namespace.is_empty() && self.bindings.is_empty() && self.brought.is_empty() {
            while let Some(plain) = attributes.next_if(Written::is_plain) {
                self.attribute(plain.name, &plain.value);
            }
        }
        let rest: Vec<Written<'a>> = attributes.collect();
        let is_bound =
            !namespace.is_empty() || !self.bindings.is_empty() || !self.brought.is_empty();
        if is_bound || !rest.is_empty() {
            self.open_bound(name, namespace, rest);
        }
        self.depth += 1;
        self.check();
    }

    /// Writes the part of a start tag where prefixes matter. Merged elements may bring declarations
    /// that contradict each other. Bindings that the names need then override the declarations. If
    /// two attributes need the same prefix, the second one is renamed.
    fn open_bound(&mut self, name: &str, namespace: &str, attributes: Vec<Written<'_>>) {
        let prefix = well_formed::prefix(name).unwrap_or_default();
        let mut needed = Needed::of(prefix, namespace);
        let mut declared = Vec::new();
        let mut named = Vec::with_capacity(attributes.len());
        for attribute in attributes {
            if let Some(prefix) = declared_prefix(attribute.name) {
                declared.push((prefix.to_owned(), attribute.value));
            } else {
                named.push(attribute);
            }
        }
        for (prefix, namespace) in std::mem::take(&mut self.brought) {
            if declared.iter().all(|(known, _)| *known != prefix) {
                declared.push((prefix, namespace.into()));
            }
        }
        let taken: HashSet<&str> = declared.iter().map(|(prefix, _)| prefix.as_str()).collect();
        let named: Vec<(Cow<'_, str>, Cow<'_, str>)> = named
            .into_iter()
            .map(|attribute| (needed.name(&attribute, &taken), attribute.value))
            .collect();
        for (prefix, value) in &declared {
            if needed
                .namespace_of(prefix)
                .is_none_or(|known| known == value)
            {
                self.declare(prefix, value);
            }
        }
        for (prefix, namespace) in needed.in_order {
            self.declare(&prefix, &namespace);
        }
        for (name, value) in named {
            self.attribute(&name, &value);
        }
    }

    /// Binds a prefix, unless it is already bound to this namespace.
    fn declare(&mut self, prefix: &str, namespace: &str) {
        if self.bound(prefix) == namespace || namespace == XML_NAMESPACE {
            return;
        }
        if prefix.is_empty() {
            self.attribute("xmlns", namespace);
        } else {
            self.attribute(&format!("xmlns:{prefix}"), namespace);
        }
        let binding = (self.depth, prefix.to_owned(), namespace.to_owned());
        self.bindings.push(binding);
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.text.push(' ');
        self.text.push_str(name);
        self.text.push_str("=\"");
        escape::<true>(&mut self.text, value);
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
        escape::<false>(&mut self.text, text);
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

/// The prefixes that the names of one start tag need, with their namespaces.
#[derive(Default)]
struct Needed {
    in_order: Vec<(String, String)>,
    places: HashMap<String, usize>,
    /// The replacement for a name's own prefix when that is bound to another namespace.
    stand_ins: HashMap<String, String>,
}

impl Needed {
    fn of(prefix: &str, namespace: &str) -> Self {
        let mut needed = Self::default();
        needed.add(prefix.to_owned(), namespace.to_owned());
        needed
    }

    fn add(&mut self, prefix: String, namespace: String) {
        self.places.insert(prefix.clone(), self.in_order.len());
        self.in_order.push((prefix, namespace));
    }

    fn namespace_of(&self, prefix: &str) -> Option<&str> {
        let place = self.places.get(prefix)?;
        Some(&self.in_order[*place].1)
    }

    /// The name with which an attribute is written.
    fn name<'n>(&mut self, attribute: &Written<'n>, taken: &HashSet<&str>) -> Cow<'n, str> {
        let prefix = well_formed::prefix(attribute.name).unwrap_or_default();
        if prefix.is_empty() || attribute.namespace == XML_NAMESPACE {
            return Cow::Borrowed(attribute.name);
        }
        match self.namespace_of(prefix) {
            Some(known) if known == attribute.namespace => return Cow::Borrowed(attribute.name),
            Some(_) => {}
            None => {
                self.add(prefix.to_owned(), attribute.namespace.to_owned());
                return Cow::Borrowed(attribute.name);
            }
        }
        let local = well_formed::local_name(attribute.name);
        if let Some(prefix) = self.stand_ins.get(attribute.namespace) {
            return Cow::Owned(format!("{prefix}:{local}"));
        }
        let fresh = self.fresh(taken);
        let name = format!("{fresh}:{local}");
        let namespace = attribute.namespace.to_owned();
        self.stand_ins.insert(namespace.clone(), fresh.clone());
        self.add(fresh, namespace);
        Cow::Owned(name)
    }

    /// A prefix that the element does not use.
    fn fresh(&self, taken: &HashSet<&str>) -> String {
        let mut number = self.stand_ins.len() + 1;
        loop {
            let prefix = format!("ns{number}");
            if !self.places.contains_key(&prefix) && !taken.contains(prefix.as_str()) {
                return prefix;
            }
            number += 1;
        }
    }
}

/// Escapes the characters that a parser would interpret or normalize.
fn escape<const ATTRIBUTE: bool>(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = first_special::<ATTRIBUTE>(rest.as_bytes()) {
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

/// How many bytes are examined together: most text has long stretches with nothing to escape.
const BLOCK_BYTES: usize = 64;

fn first_special<const ATTRIBUTE: bool>(bytes: &[u8]) -> Option<usize> {
    let is_special = |b: u8| {
        matches!(b, b'&' | b'<' | b'>' | b'\r') || ATTRIBUTE && matches!(b, b'"' | b'\t' | b'\n')
    };
    // The compiler can compare many bytes at once, but not many `bool`s.
    let specials = |block: &[u8; BLOCK_BYTES]| {
        let found = block.iter().map(|b| u8::from(is_special(*b)));
        found.fold(0, |all, found| all | found)
    };
    let (blocks, _) = bytes.as_chunks::<BLOCK_BYTES>();
    let clean = blocks.iter().take_while(|block| specials(block) == 0);
    let start = clean.count() * BLOCK_BYTES;
    let within = bytes[start..].iter().position(|b| is_special(*b))?;
    Some(start + within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_characters_are_escaped_in_text_and_attributes() {
        for before in [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, 3 * BLOCK_BYTES + 5] {
            let plain = "é".repeat(before);
            let text = format!("{plain}&{plain}<\r>\n{plain}");
            let mut escaped = String::new();
            escape::<false>(&mut escaped, &text);
            let expected = format!("{plain}&amp;{plain}&lt;&#xD;&gt;\n{plain}");
            assert_eq!(escaped, expected);
            escaped.clear();
            escape::<true>(&mut escaped, &format!("{plain}\"\t\n{plain}"));
            assert_eq!(escaped, format!("{plain}&quot;&#x9;&#xA;{plain}"));
        }
    }
}

//! Parses text into a tree. quick-xml reads the events; this module checks the rules that it does
//! not.

mod broken;
mod content;
mod namespaces;
mod tag;

use quick_xml::Reader;
use quick_xml::events::Event;

use super::decode::decode;
use super::limits::Limits;
use super::refusal::{Cause, Refusal};
use super::tree::{NameId, NodeId, Tree};
use super::well_formed;
use content::normal_ends;
use namespaces::Binding;

pub(crate) use namespaces::declared_prefix;

/// Parses any XML document.
pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Tree, Refusal> {
    parse_checked(bytes, limits, |_| Ok(()))
}

/// Why a document does not have the wanted form, and the element that shows it.
pub(crate) type Misfit = (Refusal, Option<NodeId>);

/// Parses any XML document that passes `check`.
pub(crate) fn parse_checked(
    bytes: &[u8],
    limits: &Limits,
    check: impl FnOnce(&Tree) -> Result<(), Misfit>,
) -> Result<Tree, Refusal> {
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
    check(&parser.tree).map_err(|(refusal, element)| {
        let starts = parser.starts.iter();
        let start = starts.rev().find(|(known, _)| Some(*known) == element);
        refusal.at(&text, start.map_or(0, |(_, at)| *at))
    })?;
    let mut tree = parser.tree;
    tree.mark_references();
    Ok(tree)
}

/// How deep most documents nest.
const USUAL_DEPTH: usize = 16;

struct Parser<'a> {
    text: &'a str,
    limits: &'a Limits,
    reader: Reader<&'a [u8]>,
    tree: Tree,
    open: Vec<NodeId>,
    /// The prefix bindings in scope, innermost last.
    bindings: Vec<Binding>,
    /// The name of the namespace of `xml:`.
    xml: NameId,
    has_root: bool,
    /// The byte offsets of the outermost elements in the text.
    starts: Vec<(NodeId, usize)>,
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
        let mut tree = Tree::with_room_for(text, limits.max_nodes);
        Self {
            text,
            limits,
            reader,
            xml: tree.intern(well_formed::XML_NAMESPACE),
            tree,
            open: Vec::with_capacity(USUAL_DEPTH),
            bindings: Vec::new(),
            has_root: false,
            starts: Vec::new(),
            event_start: 0,
        }
    }

    fn position(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX)
    }

    /// Moves a fault from its position in a piece to its position in the text.
    fn in_piece(&self, piece: &str, fault: Refusal) -> Refusal {
        if fault.line().is_some() {
            return fault;
        }
        let start = (piece.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize);
        match start.filter(|start| start + piece.len() <= self.text.len()) {
            Some(start) => fault.of_piece(self.text, start),
            None => fault,
        }
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
                match self.text.get(at..).and_then(broken::tag) {
                    Some((within, reason)) => malformed(reason).at(self.text, at + within),
                    None => malformed(error.to_string()).at(self.text, at),
                }
            })?;
            match event {
                Event::Start(tag) => self.start(&tag, false)?,
                Event::Empty(tag) => self.start(&tag, true)?,
                Event::End(_) => self.end(),
                Event::Text(text) => {
                    let text = text.into_inner();
                    well_formed::text(&text).map_err(|fault| self.in_piece(&text, fault))?;
                    self.append(&normal_ends(&text))?;
                }
                Event::CData(data) => {
                    let data = data.into_inner();
                    well_formed::characters(&data).map_err(|fault| self.in_piece(&data, fault))?;
                    if self.open.is_empty() {
                        return Err(malformed("text outside the root element"));
                    }
                    self.append(&normal_ends(&data))?;
                }
                Event::GeneralRef(reference) => self.reference(&reference)?,
                Event::Comment(text) => {
                    let text = text.into_inner();
                    well_formed::comment(&text).map_err(|fault| self.in_piece(&text, fault))?;
                    let parent = self.parent();
                    self.tree.append_comment(parent, &normal_ends(&text));
                }
                Event::PI(instruction) => {
                    well_formed::unprefixed_name(instruction.target())?;
                    if instruction.target().eq_ignore_ascii_case("xml") {
                        return Err(malformed("an XML declaration is only for the beginning"));
                    }
                    let data = well_formed::trimmed_start(instruction.content());
                    well_formed::characters(data).map_err(|fault| self.in_piece(data, fault))?;
                    let parent = self.parent();
                    self.tree
                        .append_instruction(parent, instruction.target(), &normal_ends(data));
                }
                Event::Decl(declaration) => {
                    if self.event_start != 0 {
                        return Err(malformed("an XML declaration is only for the beginning"));
                    }
                    well_formed::declaration(&declaration)
                        .map_err(|fault| self.in_piece(&declaration, fault))?;
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
}

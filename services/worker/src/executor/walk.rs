//! A walk over the elements of a document that keeps its position, by name and by byte.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, Event};

/// The deepest nesting of a task or result document: what a request may have.
pub const MAX_DEPTH: usize = 128;

/// One step of a walk. Comments, instructions and declarations are stepped over.
pub(super) enum Step<'a> {
    /// An element begins; it is now the last of the path.
    Open(Tag<'a>),
    /// Text of the last element of the path, or a piece of it.
    Text(Cow<'a, str>),
    /// An element ended at its end tag, which begins at this byte. `depth` is its own: 1 is the root.
    Close { depth: usize, at: usize },
    /// The document ended, with everything closed.
    End,
}

/// A start tag, or an empty element's only tag: then no [`Step::Close`] follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tag<'a> {
    pub name: &'a str,
    /// The byte behind the tag's `>`.
    pub end: usize,
    pub empty: bool,
}

/// Why a walk cannot go on: a defect of the document, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Defect(String);

pub(super) struct Walk<'a> {
    /// The document behind its byte order mark, which the reader does not count either.
    text: &'a str,
    mark: usize,
    reader: Reader<&'a [u8]>,
    path: Vec<&'a str>,
    /// The last tag was empty, so the path is one too long.
    leave: bool,
    has_root: bool,
}

impl<'a> Walk<'a> {
    pub fn over(document: &'a [u8]) -> Result<Self, Defect> {
        let whole = std::str::from_utf8(document)
            .map_err(|error| Defect(format!("it is not UTF-8: {error}")))?;
        let text = whole.strip_prefix('\u{feff}').unwrap_or(whole);
        let mut reader = Reader::from_str(text);
        // The path does this check without copying every name.
        reader.config_mut().check_end_names = false;
        Ok(Self {
            text,
            mark: whole.len() - text.len(),
            reader,
            path: Vec::with_capacity(16),
            leave: false,
            has_root: false,
        })
    }

    /// The names from the root to the element the walk is in.
    pub fn path(&self) -> &[&'a str] {
        &self.path
    }

    pub fn step(&mut self) -> Result<Step<'a>, Defect> {
        if std::mem::take(&mut self.leave) {
            self.path.pop();
        }
        loop {
            match self.reader.read_event() {
                Ok(Event::Start(tag)) => {
                    return self.open(tag.len(), tag.name().as_ref().len(), false);
                }
                Ok(Event::Empty(tag)) => {
                    return self.open(tag.len(), tag.name().as_ref().len(), true);
                }
                Ok(Event::End(tag)) => return self.close(tag.name().as_ref(), tag.len()),
                Ok(Event::Text(text)) => return Ok(Step::Text(text.into_inner())),
                Ok(Event::CData(text)) => return Ok(Step::Text(text.into_inner())),
                Ok(Event::GeneralRef(name)) => return Ok(Step::Text(resolved(&name)?)),
                Ok(Event::DocType(_)) => return Err(Defect("it has a DOCTYPE".to_owned())),
                Ok(Event::Eof) => return self.finish(),
                Ok(Event::Comment(_) | Event::PI(_) | Event::Decl(_)) => {}
                Err(error) => {
                    return Err(Defect(format!(
                        "it is not well-formed at byte {}: {error}",
                        self.mark as u64 + self.reader.error_position()
                    )));
                }
            }
        }
    }

    /// The byte behind the last event, counted as the reader counts.
    fn position(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX)
    }

    fn open(&mut self, length: usize, name: usize, empty: bool) -> Result<Step<'a>, Defect> {
        let end = self.position();
        let closing = if empty { "/>".len() } else { ">".len() };
        let start = end.saturating_sub(closing + length);
        let name = self.text.get(start..start + name).unwrap_or_default();
        if self.path.is_empty() && std::mem::replace(&mut self.has_root, true) {
            return Err(Defect("it has more than one root element".to_owned()));
        }
        if self.path.len() == MAX_DEPTH {
            return Err(Defect(format!("it is nested deeper than {MAX_DEPTH}")));
        }
        self.path.push(name);
        self.leave = empty;
        let end = self.mark + end;
        Ok(Step::Open(Tag { name, end, empty }))
    }

    fn close(&mut self, name: &str, length: usize) -> Result<Step<'a>, Defect> {
        let depth = self.path.len();
        let at = (self.mark + self.position()).saturating_sub(length + "</>".len());
        match self.path.pop() {
            Some(open) if open == name => Ok(Step::Close { depth, at }),
            Some(open) => Err(Defect(format!(
                "it is not well-formed at byte {at}: </{name}> where </{open}> is due"
            ))),
            None => Err(Defect(format!(
                "it is not well-formed at byte {at}: </{name}> closes nothing"
            ))),
        }
    }

    fn finish(&self) -> Result<Step<'a>, Defect> {
        match self.path.last() {
            Some(open) => Err(Defect(format!("it ends before </{open}>"))),
            None if !self.has_root => Err(Defect("it has no element".to_owned())),
            None => Ok(Step::End),
        }
    }
}

/// The value of a reference. A reference to an undeclared entity stays as it is written.
fn resolved<'a>(name: &BytesRef) -> Result<Cow<'a, str>, Defect> {
    match name.resolve_char_ref() {
        Ok(Some(character)) => Ok(Cow::Owned(character.to_string())),
        Ok(None) => Ok(resolve_predefined_entity(name)
            .map_or_else(|| Cow::Owned(format!("&{};", &**name)), Cow::Borrowed)),
        Err(error) => Err(Defect(format!("&{};: {error}", &**name))),
    }
}

use std::fmt;

/// Why a document is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    cause: Cause,
    reason: String,
    place: Option<(u64, u64)>,
    /// The offset in the examined piece, in bytes.
    within: usize,
}

/// The kinds of refusal, each with its stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The document is not in the encoding that it declares.
    Encoding,
    /// The document is not well-formed XML.
    Malformed,
    /// The document has a DOCTYPE.
    Doctype,
    /// The document is XML, but not VNML.
    Structure,
    /// The document exceeds a limit on its structure.
    Limit,
    /// The document is larger than allowed.
    TooLarge,
}

impl Refusal {
    pub(crate) fn new(cause: Cause, reason: impl Into<String>) -> Self {
        Self {
            cause,
            reason: reason.into(),
            place: None,
            within: 0,
        }
    }

    /// Sets the offset within the examined piece.
    pub(crate) fn within(mut self, byte: usize) -> Self {
        self.within = byte;
        self
    }

    /// Sets the position, given the offset of the examined piece in the text.
    pub(crate) fn of_piece(self, text: &str, start: usize) -> Self {
        let at = start + self.within;
        self.at(text, at)
    }

    /// Sets the position to this byte of the text, as line and column.
    pub(crate) fn at(mut self, text: &str, byte: usize) -> Self {
        let byte = text.floor_char_boundary(byte.min(text.len()));
        let before = &text[..byte];
        // A line ends with a line feed, a carriage return, or both (XML 1.0, section 2.11).
        let ends = before
            .match_indices(['\n', '\r'])
            .filter(|(at, end)| *end == "\n" || before.as_bytes().get(at + 1) != Some(&b'\n'));
        let (lines, start) = ends.fold((0, 0), |(lines, _), (at, _)| (lines + 1, at + 1));
        let line: u64 = lines + 1;
        let column = before[start..].chars().count() as u64 + 1;
        self.place = Some((line, column));
        self
    }

    /// The kind of the refusal.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// The stable code of the kind.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.cause {
            Cause::Encoding => "encoding",
            Cause::Malformed => "malformed-xml",
            Cause::Doctype => "doctype",
            Cause::Structure => "not-vnml",
            Cause::Limit => "document-limit",
            Cause::TooLarge => "payload-too-large",
        }
    }

    /// The line, from 1, if the refusal has a position.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        self.place.map(|(line, _)| line)
    }

    /// The column in characters, from 1, if the refusal has a position.
    #[must_use]
    pub fn column(&self) -> Option<u64> {
        self.place.map(|(_, column)| column)
    }

    /// Returns whether the document is refused because of its size.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.cause == Cause::TooLarge
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => {
                write!(f, "{} (line {line}, column {column})", self.reason)
            }
            None => f.write_str(&self.reason),
        }
    }
}

impl std::error::Error for Refusal {}

use std::fmt;

/// Why a document is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    cause: Cause,
    reason: String,
    place: Option<(u64, u64)>,
    /// Where in the piece that was looked at, in bytes.
    within: usize,
}

/// The kinds of refusal, each with its stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It is not in the encoding it says it is in.
    Encoding,
    /// It is not well-formed XML.
    Malformed,
    /// It has a DOCTYPE.
    Doctype,
    /// It is XML, but no VNML.
    Structure,
    /// It goes over a limit on its form.
    Limit,
    /// It is larger than a document may be.
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

    /// At this byte of the piece that was looked at.
    pub(crate) fn within(mut self, byte: usize) -> Self {
        self.within = byte;
        self
    }

    /// The piece that was looked at is at this byte of the text.
    pub(crate) fn of_piece(self, text: &str, start: usize) -> Self {
        let at = start + self.within;
        self.at(text, at)
    }

    /// At this byte of the text, which is turned into line and column.
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

    /// Its kind.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// The stable code of its kind.
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

    /// The line, from 1, where it has a place.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        self.place.map(|(line, _)| line)
    }

    /// The column in characters, from 1, where it has a place.
    #[must_use]
    pub fn column(&self) -> Option<u64> {
        self.place.map(|(_, column)| column)
    }

    /// Whether the document is refused for its size.
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

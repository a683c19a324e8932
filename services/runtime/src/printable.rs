//! Text of others in a form that a terminal, a log and a reader of logs cannot misunderstand.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

/// The form of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Lines for a person.
    Lines {
        /// Whether the sequences that set a color stay.
        colours: bool,
    },
    /// One line for a person.
    Line {
        /// Whether the sequences that set a color stay.
        colours: bool,
    },
    /// Lines of JSON.
    Json,
}

/// The text with escapes in place of control characters, and of the characters that change the
/// direction of a text.
#[must_use]
pub fn printable(text: &str, form: Form) -> Cow<'_, str> {
    if !text.contains(|c| is_control(c, form)) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(length) = colour(rest, form) {
            shown.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        let code = u32::from(c);
        // Writing to a String cannot fail.
        let _ = match (is_control(c, form), form) {
            (false, _) => write!(shown, "{c}"),
            (true, Form::Line { .. }) if c == '\n' => write!(shown, "\\n"),
            (true, Form::Line { .. } | Form::Lines { .. }) if code < 0x100 => {
                write!(shown, "\\x{code:02x}")
            }
            (true, _) => write!(shown, "\\u{code:04x}"),
        };
    }
    shown.into()
}

fn is_control(c: char, form: Form) -> bool {
    let turns = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    match c {
        '\t' => false,
        '\n' => matches!(form, Form::Line { .. }),
        c => c.is_control() || turns,
    }
}

/// The length of a sequence that only sets a color, at the beginning of a text.
fn colour(text: &str, form: Form) -> Option<usize> {
    let (Form::Lines { colours } | Form::Line { colours }) = form else {
        return None;
    };
    let digits = text.strip_prefix("\x1b[").filter(|_| colours)?;
    let length = digits.find(|c: char| !c.is_ascii_digit())?;
    let ends = digits[length..].starts_with('m') && length <= 2;
    ends.then_some("\x1b[".len() + length + 1)
}

/// A writer of whole events, each with the end of its line. No event can make two lines, or lines
/// that look like another event.
pub struct PrintableLines<W> {
    /// Where the lines go.
    pub to: W,
    /// The form of an event.
    pub form: Form,
}

impl<W: Write> Write for PrintableLines<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let (line, end) = match text.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (&*text, ""),
        };
        let mut shown = printable(line, self.form).into_owned();
        shown.push_str(end);
        self.to.write_all(shown.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_as_escapes() {
        let lines = Form::Lines { colours: false };
        for (text, shown) in [
            ("a\tb\nc", "a\tb\nc"),
            ("\x1b]0;x\x07", "\\x1b]0;x\\x07"),
            ("\u{9b}2J", "\\x9b2J"),
            ("a\rb\x7f", "a\\x0db\\x7f"),
            ("\u{202e}txt", "\\u202etxt"),
            ("\x1b[31mred", "\\x1b[31mred"),
        ] {
            assert_eq!(printable(text, lines), shown);
        }
        let line = Form::Line { colours: true };
        assert_eq!(printable("a\nb", line), "a\\nb");
        let red = "\x1b[31mred\x1b[0m";
        assert_eq!(printable(red, line), red);
        assert_eq!(printable("\x1b[2J\x1b[31m", line), "\\x1b[2J\x1b[31m");
    }

    #[test]
    fn json_stays_json() {
        let text = serde_json::to_string("a\u{9b}\u{202e}\u{7f}\n").unwrap();
        let shown = printable(&text, Form::Json);
        assert!(!shown.contains(['\u{9b}', '\u{202e}', '\u{7f}']), "{shown}");
        let again: String = serde_json::from_str(&shown).unwrap();
        assert_eq!(again, "a\u{9b}\u{202e}\u{7f}\n");
    }

    #[test]
    fn one_event_is_one_line_of_a_log() {
        let form = Form::Line { colours: false };
        let mut log = PrintableLines {
            to: Vec::new(),
            form,
        };
        log.write_all(b"WARN no such x\n2026-01-01 ERROR forged\x1b[2J\n")
            .unwrap();
        let text = String::from_utf8(log.to).unwrap();
        assert_eq!(text, "WARN no such x\\n2026-01-01 ERROR forged\\x1b[2J\n");
    }
}

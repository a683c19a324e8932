//! Output for people: colors, widths, times and durations.

use std::io::IsTerminal as _;

pub use history::words::{between, clock, count, duration, millis, short, time};

/// The width without a terminal.
const PLAIN_WIDTH: usize = 100;
/// The narrowest width at which lines are wrapped.
const NARROWEST: usize = 40;

/// The style of the output on stdout.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    /// Whether to use colors.
    pub colours: bool,
    /// The width of a line.
    pub width: usize,
}

impl Paint {
    /// The style that suits stdout.
    pub fn of_stdout() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let columns = std::env::var("COLUMNS")
            .ok()
            .and_then(|text| text.parse().ok());
        let width = columns
            .or_else(|| terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)))
            .filter(|_| terminal || columns.is_some())
            .unwrap_or(PLAIN_WIDTH);
        Self {
            colours: terminal && !plain,
            width: width.max(NARROWEST),
        }
    }

    fn code(self, code: &str, text: &str) -> String {
        if self.colours && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    pub fn bold(self, text: &str) -> String {
        self.code("1", text)
    }

    pub fn dim(self, text: &str) -> String {
        self.code("2", text)
    }

    pub fn red(self, text: &str) -> String {
        self.code("31", text)
    }

    pub fn green(self, text: &str) -> String {
        self.code("32", text)
    }

    pub fn yellow(self, text: &str) -> String {
        self.code("33", text)
    }

    /// A status, in the color of good, bad or in progress.
    pub fn status(self, word: &str) -> String {
        match word {
            "succeeded" | "completed" => self.green(word),
            "failed" => self.red(word),
            _ => self.yellow(word),
        }
    }
}

/// Breaks a text into lines of this width, each with `indent` in front.
pub fn wrap(text: &str, width: usize, indent: &str) -> String {
    let mut lines = String::new();
    let mut line = indent.to_owned();
    for word in text.split_whitespace() {
        let begun = line.len() > indent.len();
        if begun && line.chars().count() + 1 + word.chars().count() > width {
            lines.push_str(line.trim_end());
            lines.push('\n');
            indent.clone_into(&mut line);
        } else if begun {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push_str(&line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_wrapped_at_its_width() {
        assert_eq!(wrap("one two three", 9, "  "), "  one two\n  three");
    }
}

//! Output for people: colors, widths, times and durations.

use std::io::IsTerminal as _;

use jiff::{SignedDuration, Timestamp};

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

/// Cuts a text to this width, on one line.
pub fn short(text: &str, width: usize) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= width {
        return line;
    }
    let mut short: String = line.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// A duration with a unit that fits it.
pub fn duration(duration: SignedDuration) -> String {
    let millis = duration.as_millis();
    let (sign, millis) = if millis < 0 {
        ("-", -millis)
    } else {
        ("", millis)
    };
    let text = match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        60_000..3_600_000 => format!("{} min {} s", millis / 60_000, millis % 60_000 / 1_000),
        3_600_000..86_400_000 => {
            format!(
                "{} h {} min",
                millis / 3_600_000,
                millis % 3_600_000 / 60_000
            )
        }
        _ => format!(
            "{} d {} h",
            millis / 86_400_000,
            millis % 86_400_000 / 3_600_000
        ),
    };
    format!("{sign}{text}")
}

pub fn millis(millis: u64) -> String {
    duration(SignedDuration::from_millis(
        i64::try_from(millis).unwrap_or(i64::MAX),
    ))
}

/// The time from one timestamp to the other, with its unit.
pub fn between(from: Timestamp, to: Timestamp) -> String {
    duration(to.duration_since(from))
}

/// A time to the millisecond.
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S%.3fZ").to_string()
}

/// A time of day to the millisecond.
pub fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S%.3f").to_string()
}

/// A number with its noun, in the singular for one.
pub fn count(number: impl Into<u64>, noun: &str) -> String {
    match number.into() {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_wrapped_at_its_width() {
        assert_eq!(wrap("one two three", 9, "  "), "  one two\n  three");
    }

    #[test]
    fn a_duration_has_the_unit_that_fits_it() {
        let of = |ms| duration(SignedDuration::from_millis(ms));
        assert_eq!(
            [of(7), of(1_250), of(61_000), of(3_660_000), of(90_000_000)],
            ["7 ms", "1.2 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]
        );
    }
}

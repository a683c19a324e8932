//! The lines of the keys file, as text.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use super::error::KeysError;
use super::line::{Line, Proof};

/// The lines of a file, with the comments between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyFile(Vec<Row>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Row {
    Line(Line),
    /// An empty line, or one that begins with `#`.
    Remark(String),
}

impl KeyFile {
    /// The lines.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.0.iter().filter_map(|row| match row {
            Row::Line(line) => Some(line),
            Row::Remark(_) => None,
        })
    }

    /// Adds a line.
    pub fn add(&mut self, line: Line) {
        self.0.push(Row::Line(line));
    }

    /// Removes the line with this id, and returns whether it was there.
    pub fn remove(&mut self, id: &str) -> bool {
        let before = self.0.len();
        self.0
            .retain(|row| !matches!(row, Row::Line(line) if line.id == id));
        self.0.len() < before
    }
}

impl fmt::Display for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|row| match row {
            Row::Line(line) => writeln!(f, "{line}"),
            Row::Remark(text) => writeln!(f, "{text}"),
        })
    }
}

impl FromStr for KeyFile {
    type Err = KeysError;

    fn from_str(text: &str) -> Result<Self, KeysError> {
        let mut file = Self::default();
        let (mut ids, mut certificates) = (HashSet::new(), HashSet::new());
        for (place, text) in text.lines().enumerate() {
            let is_remark = text.trim().is_empty() || text.trim_start().starts_with('#');
            if is_remark {
                file.0.push(Row::Remark(text.to_owned()));
                continue;
            }
            let wrong = |reason| KeysError::Line {
                line: place + 1,
                reason,
            };
            let line: Line = text.parse().map_err(wrong)?;
            let is_new = ids.insert(line.id.clone())
                && (line.proof != Proof::Certificate || certificates.insert(line.subject.clone()));
            if !is_new {
                return Err(wrong(
                    "its id or its certificate is in an earlier line".into(),
                ));
            }
            file.0.push(Row::Line(line));
        }
        Ok(file)
    }
}

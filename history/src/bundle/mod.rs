//! A bundle: requests with all that belongs to them, in one file. The file has JSON lines under
//! zstd. The last line holds the hash of the lines before it. Plain JSON lines are read as well.

mod file;
mod line;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use domain::request::RequestId;
use nats::{Commit, DeadLetter, sha256};

use crate::Error;
pub use file::{pack, unpack};
use line::VERSION;
pub use line::{Header, Line, Rules, StoredCommit, StoredPayload, StoredTask};

/// A bundle that was read.
pub struct Bundle {
    /// The first line.
    pub header: Header,
    /// The commits, in the order of the file.
    pub commits: Vec<Commit>,
    /// The bytes of the stored payloads, by their SHA-256 in hex.
    pub payloads: HashMap<String, Vec<u8>>,
    /// The dead letters.
    pub dead_letters: Vec<DeadLetter>,
    /// The hashes of the task documents.
    pub tasks: Vec<StoredTask>,
    /// The damage to the file itself, if there is some.
    pub damage: Option<String>,
}

impl Bundle {
    /// Reads a bundle.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::parse(&unpack(path)?).map_err(|reason| {
            Error::Unreadable(format!("{} is no bundle: {reason}", path.display()))
        })
    }

    /// Reads the plain lines of a bundle.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let mut bundle = None;
        let mut end = None;
        let mut before = 0;
        for (number, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let parsed = serde_json::from_slice::<Line>(line)
                .map_err(|error| format!("line {}: {error}", number + 1))?;
            match (parsed, &mut bundle) {
                (Line::Bundle(header), None) if header.version == VERSION => {
                    bundle = Some(Self::begun(header));
                }
                (Line::Bundle(header), None) => {
                    return Err(format!(
                        "the version {} of its format is unknown",
                        header.version
                    ));
                }
                (
                    Line::End {
                        sha256: hash,
                        lines,
                    },
                    Some(_),
                ) => {
                    end = Some((hash, lines, number, before));
                }
                (line, Some(bundle)) => bundle.take_in(line)?,
                (_, None) => return Err("it does not begin with a header".into()),
            }
            before += line.len();
        }
        let mut bundle = bundle.ok_or("it is empty")?;
        bundle.damage = match end {
            None => Some("its end is missing".into()),
            Some((hash, lines, found, bytes)) => (lines != found || hash != sha256(&text[..bytes]))
                .then(|| "it was changed after it was written: its hash differs".into()),
        };
        Ok(bundle)
    }

    fn begun(header: Header) -> Self {
        Self {
            header,
            commits: Vec::new(),
            payloads: HashMap::new(),
            dead_letters: Vec::new(),
            tasks: Vec::new(),
            damage: None,
        }
    }

    fn take_in(&mut self, line: Line) -> Result<(), String> {
        match line {
            Line::Bundle(_) | Line::End { .. } => return Err("it begins or ends twice".into()),
            Line::Commit(commit) => self.commits.push(Commit {
                request: commit.request,
                sequence: commit.sequence,
                previous: commit.previous,
                at: commit.at,
                tenant: commit.tenant,
                traceparent: commit.traceparent,
                events: commit.events,
            }),
            Line::Payload(payload) => {
                let sha256 = payload.sha256.clone();
                self.payloads.insert(sha256, payload.bytes()?);
            }
            Line::DeadLetter(letter) => self.dead_letters.push(letter),
            Line::Task(task) => self.tasks.push(task),
        }
        Ok(())
    }

    /// The requests in it, in the order in which they were received.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestId> {
        let mut ids = Vec::new();
        for commit in &self.commits {
            if !ids.contains(&commit.request) {
                ids.push(commit.request);
            }
        }
        ids
    }

    /// The commits of a request.
    #[must_use]
    pub fn commits_of(&self, id: RequestId) -> Vec<Commit> {
        let own = self.commits.iter().filter(|commit| commit.request == id);
        own.cloned().collect()
    }

    /// The bytes of a payload.
    pub fn payload(&self, hash: &str) -> Result<Vec<u8>, Error> {
        let found = self.payloads.get(hash).cloned();
        let bytes =
            found.ok_or_else(|| Error::NotFound(format!("payload {hash} is not in the bundle")))?;
        if !self.header.redacted && sha256(&bytes) != hash {
            return Err(Error::Unreadable(format!(
                "payload {hash} has another hash"
            )));
        }
        Ok(bytes)
    }

    /// The requests that have dead letters of a task type in the bundle.
    #[must_use]
    pub fn requests_of_type(&self, task_type: &str) -> HashSet<RequestId> {
        let letters = self.dead_letters.iter();
        let own = letters.filter(|letter| letter.task_type == task_type);
        own.map(|letter| letter.task.request).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_that_was_changed_says_so() {
        let header = Header::new(false, Rules { fail_fast: false });
        let payload = StoredPayload {
            sha256: "s".into(),
            text: Some("one".into()),
            hex: None,
        };
        let packed = pack(&[Line::Bundle(header), Line::Payload(payload)], false).unwrap();
        assert_eq!(Bundle::parse(&packed).unwrap().damage, None);
        let changed = String::from_utf8(packed).unwrap().replace("one", "two");
        assert!(Bundle::parse(changed.as_bytes()).unwrap().damage.is_some());
    }
}

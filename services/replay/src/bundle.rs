//! A bundle: requests with all that belongs to them, in one file. JSON lines under zstd; the
//! last line holds the hash of those before it. Plain JSON lines are read as well.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::path::Path;

use domain::request::{Event, RequestId, TaskId};
use jiff::Timestamp;
use nats::{Commit, DeadLetter, sha256};
use serde::{Deserialize, Serialize};

use crate::Error;

/// The version of the form.
const VERSION: u32 = 1;
/// The magic number that zstd begins with.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// No bundle is larger than this once it is unpacked.
const MAX_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// How hard it is packed.
const LEVEL: i32 = 9;

/// One line of a bundle.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Line {
    Bundle(Header),
    Commit(StoredCommit),
    Payload(StoredPayload),
    DeadLetter(DeadLetter),
    Task(StoredTask),
    End { lines: usize, sha256: String },
}

/// The first line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    pub version: u32,
    /// The version of the program that wrote it.
    pub program: String,
    pub created_at: Timestamp,
    /// Whether the text of documents is masked.
    pub redacted: bool,
    pub rules: Rules,
}

/// The rules that the requests were decided under, as far as they were configured where the
/// bundle was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rules {
    pub fail_fast: bool,
}

/// A commit as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredCommit {
    pub request: RequestId,
    pub sequence: u64,
    pub previous: u64,
    pub at: Timestamp,
    pub events: Vec<Event>,
}

/// The bytes of a stored payload: a text, or hex where they are none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredPayload {
    pub sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
}

/// The hash of a task document as it was made where the bundle was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTask {
    pub task: TaskId,
    pub sha256: String,
}

/// A bundle that was read.
pub struct Bundle {
    pub header: Header,
    pub commits: Vec<Commit>,
    pub payloads: HashMap<String, Vec<u8>>,
    pub dead_letters: Vec<DeadLetter>,
    pub tasks: Vec<StoredTask>,
    /// What is wrong with the file itself, where something is.
    pub damage: Option<String>,
}

impl Header {
    pub fn new(redacted: bool, rules: Rules) -> Self {
        Self {
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            created_at: Timestamp::now(),
            redacted,
            rules,
        }
    }
}

/// Packs lines; the last, with their hash, is added.
pub fn pack(lines: &[Line], compressed: bool) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    for line in lines {
        put(&mut text, line)?;
    }
    let end = Line::End {
        lines: lines.len(),
        sha256: sha256(&text),
    };
    put(&mut text, &end)?;
    if compressed {
        return Ok(zstd::bulk::compress(&text, LEVEL)?);
    }
    Ok(text)
}

fn put(text: &mut Vec<u8>, line: &Line) -> Result<(), Error> {
    serde_json::to_writer(&mut *text, line).map_err(std::io::Error::from)?;
    Ok(text.write_all(b"\n")?)
}

/// The plain lines of a bundle file.
pub fn unpack(path: &Path) -> Result<Vec<u8>, Error> {
    use std::io::Read as _;
    let named = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::NotFound(format!("there is no {}", path.display())),
        _ => Error::Unreadable(format!("{}: {error}", path.display())),
    };
    let bytes = std::fs::read(path).map_err(named)?;
    if !bytes.starts_with(&ZSTD) {
        return Ok(bytes);
    }
    let mut text = Vec::new();
    zstd::Decoder::new(bytes.as_slice())
        .and_then(|decoder| decoder.take(MAX_BYTES).read_to_end(&mut text))
        .map_err(named)?;
    Ok(text)
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
                    return Err(format!("its form {} is not known", header.version));
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
                (_, None) => return Err("it does not begin as one".into()),
            }
            before += line.len();
        }
        let mut bundle = bundle.ok_or("it is empty")?;
        bundle.damage = match end {
            None => Some("its end is missing".into()),
            Some((hash, lines, found, bytes)) => (lines != found || hash != sha256(&text[..bytes]))
                .then(|| "it was changed after it was written: its hash is another".into()),
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
                events: commit.events,
            }),
            Line::Payload(payload) => {
                let bytes = match (payload.text, payload.hex) {
                    (Some(text), _) => text.into_bytes(),
                    (None, Some(hex)) => unhex(&hex).ok_or("a payload is no hex")?,
                    (None, None) => return Err("a payload has no bytes".into()),
                };
                self.payloads.insert(payload.sha256, bytes);
            }
            Line::DeadLetter(letter) => self.dead_letters.push(letter),
            Line::Task(task) => self.tasks.push(task),
        }
        Ok(())
    }

    /// The requests in it, in the order in which they were received.
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

    /// The requests of which it has dead letters of a task type.
    pub fn requests_of_type(&self, task_type: &str) -> HashSet<RequestId> {
        let letters = self.dead_letters.iter();
        let own = letters.filter(|letter| letter.task_type == task_type);
        own.map(|letter| letter.task.request).collect()
    }
}

fn unhex(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
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

//! The file of keys. A line is a key: `id  sha256  subject  tenant:role,…  [expires]`. A line with
//! the word `certificate` in the place of the hash gives roles to the client certificate whose name
//! is the subject.

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::str::FromStr;

use domain::access::{Grant, Principal, Subject};
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::PREFIX;

/// The word in the place of a hash.
const CERTIFICATE: &str = "certificate";
/// How many random bytes a secret has.
const SECRET_BYTES: usize = 32;
/// How many random bytes an id has.
const ID_BYTES: usize = 5;
/// The digits of base64 in URLs, and of hex.
const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Why a keys file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file cannot be read or written.
    #[error("the keys file {path}: {reason}")]
    File {
        /// The path.
        path: String,
        /// Why.
        reason: String,
    },
    /// A line is none of a key.
    #[error("line {line} of the keys: {reason}")]
    Line {
        /// The number of the line, from 1.
        line: usize,
        /// Why. It repeats nothing of the line but names of grants.
        reason: String,
    },
    /// Random bits cannot be had.
    #[error("this machine gives no random bits")]
    Random,
}

impl KeysError {
    pub(super) fn unreadable(path: &Path, error: &dyn fmt::Display) -> Self {
        Self::File {
            path: path.display().to_string(),
            reason: error.to_string(),
        }
    }
}

/// How a caller proves that it is the subject of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// With a key whose secret has this SHA-256.
    Key([u8; 32]),
    /// With a certificate that names the subject.
    Certificate,
}

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The name of the line, which is part of its key.
    pub id: String,
    /// The proof that it needs.
    pub proof: Proof,
    /// The caller.
    pub subject: Subject,
    /// The caller's roles.
    pub grants: Vec<Grant>,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

impl Line {
    /// The caller with its roles.
    #[must_use]
    pub fn principal(&self) -> Principal {
        Principal::new(self.subject.clone(), self.grants.iter().cloned())
    }

    /// The roles as the file has them.
    #[must_use]
    pub fn granted(&self) -> String {
        let grants: Vec<String> = self.grants.iter().map(Grant::to_string).collect();
        grants.join(",")
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  ", self.id)?;
        match &self.proof {
            Proof::Key(hash) => hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?,
            Proof::Certificate => f.write_str(CERTIFICATE)?,
        }
        write!(f, "  {}  {}", self.subject, self.granted())?;
        match self.expires {
            Some(expires) => write!(f, "  {expires}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (id, proof, subject, grants, expires) = match words[..] {
            [id, proof, subject, grants] => (id, proof, subject, grants, None),
            [id, proof, subject, grants, expires] => (id, proof, subject, grants, Some(expires)),
            _ => return Err("expected: id sha256 subject tenant:role,… [expires]".into()),
        };
        if id.is_empty()
            || !id
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        {
            return Err("an id has lower-case letters and digits only".into());
        }
        let proof = match proof {
            CERTIFICATE => Proof::Certificate,
            hash => Proof::Key(hex(hash).ok_or("expected a SHA-256 in hex, or certificate")?),
        };
        let subject: Subject = subject.parse().map_err(|error| format!("{error}"))?;
        if subject == Subject::anonymous() {
            return Err("the subject anonymous is reserved".into());
        }
        let grants = grants.split(',').map(str::parse).collect::<Result<_, _>>();
        let grants = grants.map_err(|error: domain::access::InvalidGrant| error.to_string())?;
        let expires = expires.map(str::parse).transpose();
        let expires = expires.map_err(|_| "expected a time such as 2027-01-31T00:00:00Z")?;
        Ok(Self {
            id: id.to_owned(),
            proof,
            subject,
            grants,
            expires,
        })
    }
}

/// The bytes of a SHA-256 in hex.
fn hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// A new key, shown once. Only its hash is kept.
pub struct NewKey {
    /// The key as the caller sends it.
    pub key: String,
    /// The id and the hash, for its line.
    pub id: String,
    /// The hash of the secret.
    pub sha256: [u8; 32],
}

impl NewKey {
    /// Makes a key of 256 random bits.
    pub fn make() -> Result<Self, KeysError> {
        let random = SystemRandom::new();
        let (mut id, mut secret) = ([0; ID_BYTES], [0; SECRET_BYTES]);
        random.fill(&mut id).map_err(|_| KeysError::Random)?;
        random.fill(&mut secret).map_err(|_| KeysError::Random)?;
        let id = u64::from_be_bytes([0, 0, 0, id[0], id[1], id[2], id[3], id[4]]);
        let id = format!("{id:010x}");
        let secret = base64url(&secret);
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
        Ok(Self {
            key: format!("{PREFIX}{id}_{secret}"),
            id,
            sha256,
        })
    }
}

/// Bytes in base64 for URLs, without padding.
pub(in crate::auth) fn base64url(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for digit in 0..=chunk.len() {
            let index = bits >> (18 - 6 * digit) & 63;
            text.push(char::from(BASE64URL[index as usize]));
        }
    }
    text
}

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
    /// Reads a file. One that others than its owner and group may write is refused: whoever can
    /// write it can give every role.
    pub fn read(path: &Path) -> Result<Self, KeysError> {
        let unreadable = |error: std::io::Error| KeysError::unreadable(path, &error);
        let mode = fs::metadata(path).map_err(unreadable)?.permissions().mode();
        if mode & 0o002 != 0 {
            return Err(KeysError::unreadable(path, &"everybody may write it"));
        }
        fs::read_to_string(path).map_err(unreadable)?.parse()
    }

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

    /// Writes the file whole, so that a reader sees the old one or the new one. A new file is for
    /// its owner alone.
    pub fn write(&self, path: &Path) -> Result<(), KeysError> {
        let unwritable = |error: std::io::Error| KeysError::unreadable(path, &error);
        let mode = fs::metadata(path).map_or(0o600, |found| found.permissions().mode() & 0o777);
        let beside = path.with_extension(format!("new-{}", std::process::id()));
        let mut options = fs::OpenOptions::new();
        let opened = options
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&beside);
        let written = opened.and_then(|mut file| {
            file.write_all(self.to_string().as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, path)
        });
        if written.is_err() {
            // The error tells more than whether the rest can be removed.
            let _ = fs::remove_file(&beside);
        }
        written.map_err(unwritable)
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
            let is_twice = file.lines().any(|other| {
                let is_certificate = |line: &Line| line.proof == Proof::Certificate;
                let both = is_certificate(other) && is_certificate(&line);
                other.id == line.id || both && other.subject == line.subject
            });
            if is_twice {
                return Err(wrong(
                    "its id or its certificate is in an earlier line".into(),
                ));
            }
            file.0.push(Row::Line(line));
        }
        Ok(file)
    }
}

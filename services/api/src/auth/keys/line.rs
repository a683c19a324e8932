//! A line of the keys file: `id  sha256  subject  tenant:role,…  [expires]`. A line with the word
//! `certificate` in the place of the hash gives roles to the client certificate whose name is the
//! subject.

use std::fmt;
use std::str::FromStr;

use domain::access::{Grant, Principal, Subject};
use jiff::Timestamp;

/// The word in the place of a hash.
const CERTIFICATE: &str = "certificate";

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

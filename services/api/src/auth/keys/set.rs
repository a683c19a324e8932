use std::collections::HashMap;
use std::sync::Arc;

use domain::access::Principal;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;

use super::PREFIX;
use super::file::KeyFile;
use super::line::Proof;

/// The lines of a file, for quick answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct KeySet {
    keys: HashMap<String, Key>,
    certificates: HashMap<String, Holder>,
}

#[derive(Debug, PartialEq, Eq)]
struct Key {
    sha256: [u8; 32],
    holder: Holder,
}

/// A caller and how long it is one.
#[derive(Debug, PartialEq, Eq)]
struct Holder {
    who: Arc<Principal>,
    expires: Option<Timestamp>,
}

impl Holder {
    fn at(&self, now: Timestamp) -> Option<Arc<Principal>> {
        let is_valid = self.expires.is_none_or(|expires| now < expires);
        is_valid.then(|| self.who.clone())
    }
}

impl KeySet {
    pub fn of(file: &KeyFile) -> Self {
        let mut set = Self {
            keys: HashMap::new(),
            certificates: HashMap::new(),
        };
        for line in file.lines() {
            let holder = Holder {
                who: Arc::new(line.principal()),
                expires: line.expires,
            };
            match line.proof {
                Proof::Key(sha256) => {
                    let key = Key { sha256, holder };
                    set.keys.insert(line.id.clone(), key);
                }
                Proof::Certificate => {
                    let name = line.subject.to_string();
                    set.certificates.insert(name, holder);
                }
            }
        }
        set
    }

    /// The number of lines.
    pub fn count(&self) -> usize {
        self.keys.len() + self.certificates.len()
    }

    /// Who has this key: `ff_<id>_<secret>`. A fast hash is right for 256 random bits. The
    /// comparison takes the same time wherever the hashes differ.
    pub fn of_key(&self, key: &str, now: Timestamp) -> Option<Arc<Principal>> {
        let (id, secret) = key.strip_prefix(PREFIX)?.split_once('_')?;
        let known = self.keys.get(id)?;
        let hash = digest(&SHA256, secret.as_bytes());
        let is_same = bool::from(hash.as_ref().ct_eq(&known.sha256));
        known.holder.at(now).filter(|_| is_same)
    }

    /// Who has a certificate with this name. `Err` when its line has expired.
    pub fn of_certificate(&self, name: &str, now: Timestamp) -> Result<Option<Arc<Principal>>, ()> {
        match self.certificates.get(name) {
            None => Ok(None),
            Some(known) => known.at(now).map(Some).ok_or(()),
        }
    }
}

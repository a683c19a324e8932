//! Callers with a key: 256 random bits, of which the server knows the hash.

mod file;
mod set;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use domain::access::Principal;
use jiff::Timestamp;
use runtime::CallersConfig;

#[cfg(test)]
pub(super) use file::base64url;
pub use file::{KeyFile, KeysError, Line, NewKey, Proof};
use set::KeySet;

use super::refusal::Refusal;

/// The beginning of every key.
const PREFIX: &str = "ff_";

/// Whether a credential is a key, good or bad.
pub(super) fn is_key(credential: &str) -> bool {
    credential.starts_with(PREFIX)
}

/// The keys of a file, as it is now.
pub struct Keys {
    path: PathBuf,
    check: Duration,
    now: RwLock<Arc<KeySet>>,
}

impl Keys {
    pub(super) fn open(config: &CallersConfig) -> Result<Self, KeysError> {
        let path = PathBuf::from(&config.auth_keys_file);
        let file = KeyFile::read(&path)?;
        Ok(Self {
            path,
            check: config.auth_keys_check,
            now: RwLock::new(Arc::new(KeySet::of(&file))),
        })
    }

    fn set(&self) -> Arc<KeySet> {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        now.clone()
    }

    /// Who has this key.
    pub(super) fn who(&self, key: &str, now: Timestamp) -> Result<Arc<Principal>, Refusal> {
        // The same answer for each of these: a caller learns nothing about the keys of others.
        let unknown = Refusal::Bad("the key is unknown, revoked or expired");
        self.set().of_key(key, now).ok_or(unknown)
    }

    /// Who has a certificate with this name, if the file says.
    pub(super) fn certificate(
        &self,
        name: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<Principal>>, Refusal> {
        let expired = |()| Refusal::Bad("the certificate's line in the keys file has expired");
        self.set().of_certificate(name, now).map_err(expired)
    }

    /// Reads the file again when it changes. A file that cannot be read leaves the keys as they
    /// are.
    pub(super) async fn follow(&self) {
        let mut last_error = String::new();
        loop {
            tokio::time::sleep(self.check).await;
            match self.read_again().await {
                Ok(changed) => {
                    if changed {
                        tracing::info!(path = %self.path.display(), "the keys have changed");
                    }
                    last_error.clear();
                }
                Err(error) => {
                    let error = error.to_string();
                    if error != last_error {
                        tracing::error!(error, "the keys stay as they were");
                        last_error = error;
                    }
                }
            }
        }
    }

    async fn read_again(&self) -> Result<bool, KeysError> {
        let path = self.path.clone();
        let reading = tokio::task::spawn_blocking(move || KeyFile::read(&path));
        let read = reading.await;
        let file = read.map_err(|error| KeysError::unreadable(&self.path, &error))??;
        let set = KeySet::of(&file);
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        let changed = **now != set;
        *now = Arc::new(set);
        Ok(changed)
    }
}

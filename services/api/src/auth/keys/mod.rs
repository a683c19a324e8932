//! Callers with a key: 256 random bits, of which the server knows the hash.

mod error;
mod file;
mod line;
mod made;
mod place;
mod set;
#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use domain::access::Principal;
use jiff::Timestamp;
use runtime::CallersConfig;

pub use error::KeysError;
pub use file::KeyFile;
pub use line::{Line, Proof};
pub use made::NewKey;
#[cfg(test)]
pub(super) use made::base64url;
pub use place::KeysPlace;
use place::Stamp;
use set::KeySet;

use super::refusal::Refusal;

/// The beginning of every key.
const PREFIX: &str = "ff_";

/// Whether a credential is a key, good or bad.
pub(super) fn is_key(credential: &str) -> bool {
    credential.starts_with(PREFIX)
}

/// How long after its time a look at the file may end before `/readyz` says so. A file system of
/// another machine may not answer.
const LATE: Duration = Duration::from_secs(10);

/// The keys of a file, as it is now.
pub struct Keys {
    place: KeysPlace,
    check: Duration,
    now: RwLock<Now>,
}

/// What is known of the file.
struct Now {
    set: Arc<KeySet>,
    stamp: Option<Stamp>,
    /// When the file was last looked at with success.
    looked_at: Timestamp,
    /// Why the last look failed.
    fault: Option<String>,
}

impl Keys {
    pub(super) fn open(config: &CallersConfig) -> Result<Self, KeysError> {
        let place = KeysPlace::new(config);
        let reading = place.reading()?;
        Ok(Self {
            place,
            check: config.auth_keys_check,
            now: RwLock::new(Now {
                set: Arc::new(KeySet::of(&reading.file)),
                stamp: reading.stamp,
                looked_at: Timestamp::now(),
                fault: None,
            }),
        })
    }

    fn set(&self) -> Arc<KeySet> {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        now.set.clone()
    }

    /// Since when the file cannot be read, and why.
    pub(super) fn fault(&self, at: Timestamp) -> Option<String> {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        let since = now.looked_at;
        if let Some(reason) = &now.fault {
            return Some(format!("not read since {since}: {reason}"));
        }
        let age = Duration::try_from(at.duration_since(since)).unwrap_or_default();
        (age > self.check + LATE).then(|| format!("not read since {since}: no answer"))
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
        loop {
            tokio::time::sleep(self.check).await;
            let looked = self.look_again().await;
            let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
            let fault = looked.err().map(|error| error.to_string());
            match &fault {
                None => now.looked_at = Timestamp::now(),
                same if *same == now.fault => {}
                Some(error) => tracing::error!(error, "the keys stay as they were"),
            }
            now.fault = fault;
        }
    }

    async fn look_again(&self) -> Result<(), KeysError> {
        let path = self.place.path();
        let known = {
            let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
            now.stamp
        };
        let place = self.place.clone();
        let looking = tokio::task::spawn_blocking(move || {
            let reading = place.reading_after(known)?;
            Ok(reading.map(|reading| (KeySet::of(&reading.file), reading.stamp)))
        });
        let looked = looking.await;
        let looked: Result<_, KeysError> =
            looked.map_err(|error| KeysError::unreadable(path, &error))?;
        let Some((set, stamp)) = looked? else {
            return Ok(());
        };
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        let (before, after) = (now.set.count(), set.count());
        let path = path.display();
        if after == 0 && before > 0 {
            tracing::warn!(%path, before, "the keys file has no line: every caller is revoked");
        } else if *now.set != set {
            tracing::info!(%path, before, after, "the keys have changed");
        }
        now.set = Arc::new(set);
        now.stamp = stamp;
        Ok(())
    }
}

//! The lock of `up` on its data folder: two servers on one folder would destroy each other's data.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};

/// The file that the owner keeps locked. It holds the number of the owner's process.
const LOCK: &str = "lock";

/// A data folder that belongs to this process, until the value is dropped or the process ends.
pub struct DataFolder {
    _lock: File,
}

impl DataFolder {
    /// Locks the folder. An error if another process has locked it.
    pub fn take(folder: &Path) -> anyhow::Result<Self> {
        let about = || format!("DATA_DIR {}", folder.display());
        servers::private_folder(folder).with_context(about)?;
        let mut options = File::options();
        let lock = options.create(true).read(true).write(true).truncate(false);
        let mut lock = lock.open(folder.join(LOCK)).with_context(about)?;
        match lock.try_lock() {
            Ok(()) => {
                lock.set_len(0).with_context(about)?;
                write!(lock, "{}", std::process::id()).with_context(about)?;
                Ok(Self { _lock: lock })
            }
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // The number of the process helps to find it. Without the number the error still
                // says that it exists.
                let _ = lock.read_to_string(&mut owner);
                bail!(
                    "{}: another `fanfold up` (process {owner}) uses this folder: stop it, or set \
                     DATA_DIR to another folder",
                    about()
                );
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(about),
        }
    }
}

impl DataFolder {
    /// Whether a running process has the folder.
    pub fn is_taken(folder: &Path) -> anyhow::Result<bool> {
        let Ok(lock) = File::open(folder.join(LOCK)) else {
            return Ok(false);
        };
        match lock.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("DATA_DIR {}", folder.display()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_owner_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataFolder::take(folder.path()).unwrap();
        let refused = DataFolder::take(folder.path()).err().unwrap().to_string();
        let own = std::process::id().to_string();
        assert!(refused.contains(&own), "{refused}");
        assert!(DataFolder::is_taken(folder.path()).unwrap());
        drop(first);
        assert!(!DataFolder::is_taken(folder.path()).unwrap());
        DataFolder::take(folder.path()).unwrap();
    }
}

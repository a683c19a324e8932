//! The staging of atomic batches in memory, for an embedded nats-server.
//!
//! Until a batch is complete, nats-server 2.15 keeps it in memory for a stream with replicas. For a
//! stream without replicas it makes, syncs and deletes files for every batch, which takes longer
//! than the sync of the stream itself. Staged messages were promised to nobody. So their folder is
//! a link into a file system in memory. See `docs/decisions/0017-batches-are-staged-in-memory.md`
//! for why this is safe.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::{Builder, TempDir};

/// The file system in memory of Linux.
const MEMORY: &str = "/dev/shm";
/// The folder of staged batches, within the folder of each stream.
const BATCHES: &str = "batches";

/// The staging of one server. After a drop, batches are staged on disk again.
#[derive(Debug)]
pub struct Staging {
    streams: PathBuf,
    /// Locked while links are made, because the server may restart meanwhile.
    memory: Option<Mutex<TempDir>>,
}

impl Staging {
    /// The staging for the server of this folder, whose streams will be in `streams`.
    pub(crate) fn of(folder: &Path, streams: PathBuf) -> Self {
        let memory = memory_of(folder);
        if let Err(error) = &memory {
            tracing::debug!(%error, "batches are staged on disk");
        }
        Self {
            streams,
            memory: memory.ok().map(Mutex::new),
        }
    }

    /// Stages the batches of every present stream in memory. A server that starts removes some of
    /// the links. If a link cannot be made, batches are staged on disk, which is only slower.
    pub fn link(&self) {
        let Some(memory) = &self.memory else { return };
        let memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
        for stream in self.streams() {
            if let Err(error) = lead(&stream, memory.path()) {
                let stream = stream.display();
                tracing::debug!(%stream, %error, "the batches of a stream are staged on disk");
            }
        }
    }

    fn streams(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let streams = fs::read_dir(&self.streams).into_iter().flatten();
        streams.flatten().map(|stream| stream.path())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let Some(memory) = &self.memory else { return };
        let memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
        for stream in self.streams() {
            let link = stream.join(BATCHES);
            if fs::read_link(&link).is_ok_and(|to| to.starts_with(memory.path())) {
                // A link that stays is dangling, and the next start removes it.
                let _ = fs::remove_file(link);
            }
        }
    }
}

/// A new private folder in memory. Its name identifies the server, so that the folder of a killed
/// server is found. A copy of a server's data has another name.
fn memory_of(folder: &Path) -> io::Result<TempDir> {
    let place = fs::metadata(folder)?;
    let prefix = format!("fanfold-{}-{}-", place.dev(), place.ino());
    for left in fs::read_dir(MEMORY)?.flatten() {
        if left.file_name().to_string_lossy().starts_with(&prefix) {
            // A folder of another user cannot be removed, and is of no use here.
            let _ = fs::remove_dir_all(left.path());
        }
    }
    let private = Permissions::from_mode(0o700);
    let mut builder = Builder::new();
    builder.prefix(&prefix).permissions(private);
    builder.tempdir_in(MEMORY)
}

/// Links the batches of a stream into memory, or leaves them on disk after an error.
fn lead(stream: &Path, memory: &Path) -> io::Result<()> {
    let staging = memory.join(stream.file_name().unwrap_or_default());
    let link = stream.join(BATCHES);
    if fs::read_link(&link).is_ok_and(|to| to == staging) && staging.is_dir() {
        return Ok(());
    }
    if staging.is_dir() {
        // The server was killed in the middle of these batches, and has recovered since.
        fs::remove_dir_all(&staging)?;
    }
    let made = fs::create_dir(&staging);
    match fs::symlink_metadata(&link) {
        // The link has another target, or none.
        Ok(was) if was.is_symlink() => fs::remove_file(&link)?,
        // Without memory the folder on disk stays, because the server may be using it.
        Ok(_) if made.is_ok() => fs::remove_dir_all(&link)?,
        _ => {}
    }
    made?;
    symlink(&staging, &link)
}

//! Where a nats-server of one's own stages atomic batches: in memory.
//!
//! Until a batch is whole, nats-server 2.15 keeps it in memory for a stream with replicas, but for
//! one without in files that it makes, syncs and deletes for every batch, which takes longer than
//! the sync of the stream itself. What is staged was promised to nobody, so its folder is a link
//! into a file system that is in memory. Why this is safe: `docs/decisions/0017-batches-are-staged-in-memory.md`.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::{Builder, TempDir};

/// A file system in memory, as Linux has it.
const MEMORY: &str = "/dev/shm";
/// Where nats-server stages batches, in the folder of each stream.
const BATCHES: &str = "batches";

/// The staging of one server; on disk again when it is dropped.
#[derive(Debug)]
pub struct Staging {
    streams: PathBuf,
    /// Locked while streams are led there: a server may be started again meanwhile.
    memory: Option<Mutex<TempDir>>,
}

impl Staging {
    /// For the server of this folder, where its streams are in `streams`, once they are there.
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

    /// Stages the batches of every stream there is now in memory: a server that starts takes some
    /// of the links away. Where it cannot be done they are staged on disk, which is only slower.
    pub fn link(&self) {
        let Some(memory) = &self.memory else { return };
        let memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
        for stream in self.streams() {
            if let Err(error) = lead(&stream, memory.path()) {
                let stream = stream.display();
                tracing::debug!(%stream, %error, "its batches are staged on disk");
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
                // One that stays leads nowhere, and is taken away at the next start.
                let _ = fs::remove_file(link);
            }
        }
    }
}

/// A new folder in memory, for nobody else to look into. Its name says which server it is for, so
/// that what was left of one that was killed is found; a copy of a server's data is another.
fn memory_of(folder: &Path) -> io::Result<TempDir> {
    let place = fs::metadata(folder)?;
    let prefix = format!("fanfold-{}-{}-", place.dev(), place.ino());
    for left in fs::read_dir(MEMORY)?.flatten() {
        if left.file_name().to_string_lossy().starts_with(&prefix) {
            // What is not ours cannot be removed, and is of no use to us.
            let _ = fs::remove_dir_all(left.path());
        }
    }
    let private = Permissions::from_mode(0o700);
    let mut builder = Builder::new();
    builder.prefix(&prefix).permissions(private);
    builder.tempdir_in(MEMORY)
}

/// Leads the batches of a stream into memory, or leaves them on disk after an error.
fn lead(stream: &Path, memory: &Path) -> io::Result<()> {
    let staging = memory.join(stream.file_name().unwrap_or_default());
    let link = stream.join(BATCHES);
    if fs::read_link(&link).is_ok_and(|to| to == staging) && staging.is_dir() {
        return Ok(());
    }
    if staging.is_dir() {
        // The server was killed in the middle of these, and has had its look at them.
        fs::remove_dir_all(&staging)?;
    }
    let made = fs::create_dir(&staging);
    match fs::symlink_metadata(&link) {
        // It leads elsewhere, or nowhere.
        Ok(was) if was.is_symlink() => fs::remove_file(&link)?,
        // On disk it stays where there is no memory: the server may be at work in it.
        Ok(_) if made.is_ok() => fs::remove_dir_all(&link)?,
        _ => {}
    }
    made?;
    symlink(&staging, &link)
}

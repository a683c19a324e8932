//! Where a nats-server of one's own stages atomic batches: in memory.
//!
//! Until a batch is whole, nats-server 2.15 keeps it in memory for a stream with replicas, but for
//! one without in files that it makes, syncs and deletes for every batch, which takes longer than
//! the sync of the stream itself. What is staged was promised to nobody, so its folder is a link
//! into a file system that is in memory. Why this is safe: `docs/decisions/0020-staging-in-memory.md`.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::{Builder, TempDir};

/// A file system in memory, as Linux has it.
const MEMORY: &str = "/dev/shm";
/// How a folder there that is ours begins.
const OURS: &str = "fanfold-";
/// Where nats-server stages batches, in the folder of each stream.
const BATCHES: &str = "batches";

/// The staging of one server; on disk again when it is dropped.
#[derive(Debug)]
pub struct Staging {
    streams: PathBuf,
    memory: Option<TempDir>,
}

impl Staging {
    /// For the streams in this folder, which need not be there yet.
    pub(crate) fn of(streams: PathBuf) -> Self {
        let memory = Builder::new().prefix(OURS).tempdir_in(MEMORY);
        if let Err(error) = &memory {
            tracing::debug!(%error, "batches are staged on disk");
        }
        Self {
            streams,
            memory: memory.ok(),
        }
    }

    /// Stages the batches of every stream there is now in memory: a server that starts puts their
    /// folders back. Where it cannot be done they are staged on disk, which is only slower.
    pub fn link(&self) {
        let Some(memory) = &self.memory else { return };
        for stream in self.streams() {
            if let Err(error) = link(&stream, memory.path()) {
                let stream = stream.display();
                tracing::warn!(%stream, %error, "its batches are staged on disk");
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
        for stream in self.streams() {
            // A link that stays leads nowhere, and is taken away at the next start.
            let _ = unlink(&stream.join(BATCHES));
        }
    }
}

fn link(stream: &Path, memory: &Path) -> io::Result<()> {
    let staging = memory.join(stream.file_name().unwrap_or_default());
    let link = stream.join(BATCHES);
    if fs::read_link(&link).is_ok_and(|to| to == staging) && staging.is_dir() {
        return Ok(());
    }
    unlink(&link)?;
    fs::create_dir_all(&staging)?;
    symlink(&staging, &link)
}

/// Takes the folder of the batches away, and what a process that was killed left in memory.
fn unlink(link: &Path) -> io::Result<()> {
    let Ok(staging) = fs::read_link(link) else {
        return match fs::remove_dir_all(link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    };
    if let Some(left) = staging.parent().filter(|left| is_ours(left)) {
        // Another stream's link may have led there too.
        let _ = fs::remove_dir_all(left);
    }
    fs::remove_file(link)
}

fn is_ours(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.parent() == Some(Path::new(MEMORY)) && name.starts_with(OURS)
}

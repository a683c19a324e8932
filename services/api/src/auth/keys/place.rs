//! The keys file on the disk. The API reads it while `fanfold keys` changes it.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use runtime::CallersConfig;
use rustix::fs::OFlags;

use super::error::KeysError;
use super::file::KeyFile;

/// The right of everybody to write a file.
const OTHERS_WRITE: u32 = 0o002;
/// How long a command pauses before it tries again to lock the file.
const LOCK_PAUSE: Duration = Duration::from_millis(10);
/// A file that changed less than this before it was read may change again without another time of
/// change, because clocks of file systems are coarse.
const SETTLED: Duration = Duration::from_secs(2);

/// Where the keys file is, and what it may cost to use it.
#[derive(Clone, Debug)]
pub struct KeysPlace {
    path: PathBuf,
    max_bytes: usize,
    lock_wait: Duration,
}

/// What tells a file from the one that was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(found: &Metadata) -> Self {
        Self {
            file: (found.dev(), found.ino()),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }

    /// Whether every later change makes another stamp.
    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let changed = Duration::from_secs(self.changed.0.max(0).cast_unsigned());
        now.is_ok_and(|now| now > changed + SETTLED)
    }
}

/// A file as it was read.
pub(super) struct Reading {
    pub file: KeyFile,
    /// `None` where the file must be read again even if it looks the same.
    pub stamp: Option<Stamp>,
}

impl KeysPlace {
    /// The keys file that the settings name.
    #[must_use]
    pub fn new(config: &CallersConfig) -> Self {
        Self {
            path: PathBuf::from(&config.auth_keys_file),
            max_bytes: config.auth_keys_max_bytes,
            lock_wait: config.auth_keys_lock,
        }
    }

    /// The path, as the settings have it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file.
    pub fn read(&self) -> Result<KeyFile, KeysError> {
        Ok(self.reading()?.file)
    }

    pub(super) fn reading(&self) -> Result<Reading, KeysError> {
        let (file, found) = self.open(&self.path)?;
        let stamp = Stamp::of(&found);
        Ok(Reading {
            stamp: stamp.is_settled().then_some(stamp),
            file: self.parse(&file)?,
        })
    }

    /// Reads the file, unless it is the one with this stamp.
    pub(super) fn reading_after(&self, known: Option<Stamp>) -> Result<Option<Reading>, KeysError> {
        let found = fs::metadata(&self.path).map_err(|error| self.unusable(&error))?;
        if known == Some(Stamp::of(&found)) {
            return Ok(None);
        }
        self.reading().map(Some)
    }

    /// Makes an empty file, for its owner alone, where there is none.
    pub fn create(&self) -> Result<(), KeysError> {
        let mut options = OpenOptions::new();
        let made = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.path);
        match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(self.unusable(&error))
            }
            _ => Ok(()),
        }
    }

    /// Changes the file, and returns whether it changed. A reader sees the old file or the new one,
    /// and no other command changes it meanwhile. A link stays a link, and the owner, the group and
    /// the mode stay as they are, so that the API can still read the file.
    pub fn change(&self, change: impl FnOnce(&mut KeyFile) -> bool) -> Result<bool, KeysError> {
        let path = fs::canonicalize(&self.path).map_err(|error| self.unusable(&error))?;
        let (old, found) = self.locked(&path)?;
        let mut file = self.parse(&old)?;
        if !change(&mut file) {
            return Ok(false);
        }
        let text = file.to_string();
        // Nothing is written that the API would refuse.
        text.parse::<KeyFile>()?;
        if text.len() > self.max_bytes {
            return Err(self.too_large());
        }
        self.replace(&path, &found, &text)?;
        Ok(true)
    }

    /// Opens a file that can be trusted. Whoever can write it can give every role. A pipe would
    /// keep its reader waiting.
    fn open(&self, path: &Path) -> Result<(File, Metadata), KeysError> {
        let unusable = |error: io::Error| self.unusable(&error);
        let mut options = OpenOptions::new();
        let options = options.read(true);
        let options = options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let file = options.open(path).map_err(unusable)?;
        let found = file.metadata().map_err(unusable)?;
        if !found.is_file() {
            return Err(self.unusable(&"it is no regular file"));
        }
        if found.mode() & OTHERS_WRITE != 0 {
            return Err(self.unusable(&"everybody may write it"));
        }
        Ok((file, found))
    }

    fn parse(&self, file: &File) -> Result<KeyFile, KeysError> {
        let mut text = String::new();
        let read = file
            .take(self.max_bytes as u64 + 1)
            .read_to_string(&mut text);
        if read.map_err(|error| self.unusable(&error))? > self.max_bytes {
            return Err(self.too_large());
        }
        text.parse()
    }

    /// The file at this path, locked against other commands.
    fn locked(&self, path: &Path) -> Result<(File, Metadata), KeysError> {
        let began = Instant::now();
        loop {
            let (file, found) = self.open(path)?;
            match file.try_lock() {
                Ok(()) => {
                    // The command that had the lock has put another file in the place of this one.
                    let now = fs::metadata(path).map_err(|error| self.unusable(&error))?;
                    if Stamp::of(&now).file == Stamp::of(&found).file {
                        return Ok((file, now));
                    }
                }
                Err(TryLockError::WouldBlock) if began.elapsed() < self.lock_wait => {
                    std::thread::sleep(LOCK_PAUSE);
                }
                Err(TryLockError::WouldBlock) => {
                    let waited = self.lock_wait;
                    let reason = format!("another command has been changing it for {waited:?}");
                    return Err(self.unusable(&reason));
                }
                Err(TryLockError::Error(error)) => return Err(self.unusable(&error)),
            }
        }
    }

    /// Puts a file with this text in the place of another, with its owner, group and mode.
    fn replace(&self, path: &Path, old: &Metadata, text: &str) -> Result<(), KeysError> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let beside = path.with_file_name(name);
        // Only a command that was killed has left one, because this one has the lock.
        let _ = fs::remove_file(&beside);
        let mut options = OpenOptions::new();
        let options = options.write(true).create_new(true).mode(0o600);
        let opened = options.open(&beside).map_err(|error| self.unusable(&error));
        let written = opened.and_then(|new| {
            self.keep_owner(&new, old)?;
            let mode = fs::Permissions::from_mode(old.mode() & 0o7777);
            let put = put(new, mode, text, &beside, path);
            put.map_err(|error| self.unusable(&error))
        });
        if written.is_err() {
            // The error tells more than whether the rest can be removed.
            let _ = fs::remove_file(&beside);
        }
        written
    }

    fn keep_owner(&self, new: &File, old: &Metadata) -> Result<(), KeysError> {
        let made = new.metadata().map_err(|error| self.unusable(&error))?;
        if (made.uid(), made.gid()) == (old.uid(), old.gid()) {
            return Ok(());
        }
        fchown(new, Some(old.uid()), Some(old.gid())).map_err(|error| {
            let (user, group) = (old.uid(), old.gid());
            self.unusable(&format!(
                "it belongs to user {user} and group {group}, and must stay theirs: run the \
                 command as that user ({error})"
            ))
        })
    }

    fn too_large(&self) -> KeysError {
        let most = self.max_bytes;
        self.unusable(&format!("it is larger than AUTH_KEYS_MAX_BYTES, {most}"))
    }

    fn unusable(&self, reason: &dyn std::fmt::Display) -> KeysError {
        KeysError::unreadable(&self.path, reason)
    }
}

/// Writes a new file, and gives it the place of another one.
fn put(
    mut new: File,
    mode: fs::Permissions,
    text: &str,
    beside: &Path,
    path: &Path,
) -> io::Result<()> {
    new.set_permissions(mode)?;
    new.write_all(text.as_bytes())?;
    new.sync_all()?;
    fs::rename(beside, path)?;
    // A revoked key must not come back after a power cut.
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

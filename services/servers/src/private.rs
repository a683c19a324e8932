//! Folders and files that only their owner can read.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

const FOLDER: u32 = 0o700;
const FILE: u32 = 0o600;

/// Makes a folder that only its owner can enter. One that is there already becomes such a folder.
pub fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER)
        .create(path)?;
    fs::set_permissions(path, Permissions::from_mode(FOLDER))
}

/// Writes a file that only its owner can read, in place of one that is there.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    let mut file = opened(options.write(true).truncate(true), path)?;
    file.write_all(content)
}

/// Opens a file that only its owner can read, to write at its end.
pub fn append_private(path: &Path) -> io::Result<File> {
    opened(File::options().append(true), path)
}

fn opened(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.create(true).mode(FILE).open(path)?;
    // The mode above holds for a new file only.
    file.set_permissions(Permissions::from_mode(FILE))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_could_read_before_they_cannot_read_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a");
        fs::create_dir(&inner).unwrap();
        let file = inner.join("b");
        fs::write(&file, "old and long").unwrap();
        for path in [&inner, &file] {
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        }
        private_folder(&inner).unwrap();
        write_private(&file, b"new").unwrap();
        append_private(&file).unwrap().write_all(b"er").unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&inner), mode(&file)), (0o700, 0o600));
        assert_eq!(fs::read_to_string(&file).unwrap(), "newer");
    }
}

//! Reading files under the roots of the allow-list.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::FetchError;
use super::body::too_large;

/// Reads the first of these files that exists. Each comes with the root that must contain it once
/// all symbolic links are followed.
pub async fn read(
    candidates: Vec<(PathBuf, PathBuf)>,
    limit: usize,
) -> Result<Vec<u8>, FetchError> {
    let mut last = FetchError::NotAllowed("no file:// root has it".into());
    for (path, root) in candidates {
        match one(&path, &root, limit).await {
            Err(error @ (FetchError::NotAllowed(_) | FetchError::Final(_))) => last = error,
            done => return done,
        }
    }
    Err(last)
}

async fn one(path: &Path, root: &Path, limit: usize) -> Result<Vec<u8>, FetchError> {
    let (real, root) = within(path, root).await?;
    let opening = tokio::task::spawn_blocking(move || opened(&real, &root));
    let file = opening
        .await
        .map_err(|e| FetchError::Transient(e.to_string()))?;
    let file = File::from_std(file.map_err(|e| of(&e))?);
    let about = file.metadata().await.map_err(|e| of(&e))?;
    // Reading a pipe or a device might never end.
    if !about.is_file() {
        return Err(FetchError::Final("it is no regular file".into()));
    }
    let at_most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    file.take(at_most)
        .read_to_end(&mut bytes)
        .await
        .map_err(|e| of(&e))?;
    if bytes.len() > limit {
        return Err(too_large(limit));
    }
    Ok(bytes)
}

/// Opens a file under a root. Both paths were real when they were checked. Whoever may write under the
/// root may have replaced a part of the path by a link since, so the kernel follows none.
#[cfg(target_os = "linux")]
fn opened(real: &Path, root: &Path) -> std::io::Result<std::fs::File> {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, open, openat2};
    use rustix::io::Errno;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let Ok(below) = real.strip_prefix(root) else {
        return Err(ErrorKind::PermissionDenied.into());
    };
    let folder = open(root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match openat2(&folder, below, flags, Mode::empty(), resolve) {
        // A kernel or a container without this call.
        Err(Errno::NOSYS | Errno::PERM) => {
            Ok(rustix::fs::openat(CWD, real, flags | OFlags::NOFOLLOW, Mode::empty())?.into())
        }
        Err(Errno::LOOP | Errno::XDEV) => Err(ErrorKind::PermissionDenied.into()),
        opened => Ok(opened?.into()),
    }
}

/// Opens a file under a root.
#[cfg(not(target_os = "linux"))]
fn opened(real: &Path, _root: &Path) -> std::io::Result<std::fs::File> {
    std::fs::File::open(real)
}

/// The real path of a file and that of the root, which must contain it. The error for a path outside does not
/// even reveal whether the file exists.
async fn within(path: &Path, root: &Path) -> Result<(PathBuf, PathBuf), FetchError> {
    let outside = || FetchError::NotAllowed("it is not under a file:// root of HREF_ALLOW".into());
    let climbs = path.components().any(|part| part == Component::ParentDir);
    if climbs || !path.starts_with(root) {
        return Err(outside());
    }
    let root = tokio::fs::canonicalize(root).await.map_err(|e| of(&e))?;
    let folder = path.parent().unwrap_or(path);
    match tokio::fs::canonicalize(folder).await {
        Ok(folder) if !folder.starts_with(&root) => return Err(outside()),
        Ok(_) => {}
        Err(error) => return Err(of(&error)),
    }
    let real = tokio::fs::canonicalize(path).await.map_err(|e| of(&e))?;
    if real.starts_with(&root) {
        Ok((real, root))
    } else {
        Err(outside())
    }
}

fn of(error: &std::io::Error) -> FetchError {
    match error.kind() {
        ErrorKind::NotFound => FetchError::Final("there is no such file".into()),
        ErrorKind::PermissionDenied => FetchError::Final("the file may not be read".into()),
        ErrorKind::Interrupted | ErrorKind::TimedOut => FetchError::Transient(error.to_string()),
        _ => FetchError::Final(error.to_string()),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_that_came_after_the_check_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap().join("root");
        std::fs::create_dir_all(root.join("a")).unwrap();
        let secret = root.parent().unwrap().join("secret");
        std::fs::write(&secret, "x").unwrap();
        let file = root.join("a/b");
        std::fs::write(&file, "y").unwrap();
        assert!(opened(&file, &root).is_ok());
        std::fs::remove_file(&file).unwrap();
        symlink(&secret, &file).unwrap();
        assert!(opened(&file, &root).is_err());
        // A folder on the way.
        std::fs::remove_dir_all(root.join("a")).unwrap();
        symlink(root.parent().unwrap(), root.join("a")).unwrap();
        assert!(opened(&root.join("a/secret"), &root).is_err());
    }
}

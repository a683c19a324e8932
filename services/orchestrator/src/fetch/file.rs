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
    let real = within(path, root).await?;
    let about = tokio::fs::metadata(&real).await.map_err(|e| of(&e))?;
    // Reading a pipe or a device might never end.
    if !about.is_file() {
        return Err(FetchError::Final("it is no regular file".into()));
    }
    let file = File::open(&real).await.map_err(|e| of(&e))?;
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

/// The real path of a file, which must be under the root. The error for a path outside does not
/// even reveal whether the file exists.
async fn within(path: &Path, root: &Path) -> Result<PathBuf, FetchError> {
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
        Ok(real)
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

//! The golden requests: documents with exact answers.

use std::fs;
use std::path::{Path, PathBuf};

use domain::document::{Limits, canonicalize};

/// A golden request.
#[derive(Clone, Debug)]
pub struct RequestCase {
    pub name: String,
    pub request: String,
    pub response: String,
    /// The task documents by group (from 0) and task (from 1).
    pub tasks: Vec<(u32, u32, String)>,
}

/// Every golden request of this tree, and further ones from elsewhere if they are present.
pub fn request_cases() -> Vec<RequestCase> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = folders(&here.join("../golden/requests"));
    assert!(!folders.is_empty(), "no golden requests");
    let shared = here.join("../../../shared/golden/requests");
    if shared.is_dir() {
        let known: Vec<_> = folders
            .iter()
            .filter_map(|f| f.file_name().map(ToOwned::to_owned))
            .collect();
        let more = self::folders(&shared).into_iter();
        folders
            .extend(more.filter(|f| !known.iter().any(|k| Some(k.as_os_str()) == f.file_name())));
    }
    folders.iter().map(|folder| read(folder)).collect()
}

fn folders(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root).unwrap();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

fn read(folder: &Path) -> RequestCase {
    let text = |file: &Path| fs::read_to_string(file).unwrap();
    let tasks = fs::read_dir(folder).unwrap().filter_map(|entry| {
        let path = entry.unwrap().path();
        let name = path
            .file_stem()?
            .to_str()?
            .strip_prefix("task-")?
            .to_owned();
        let (group, task) = name.split_once('-')?;
        Some((group.parse().unwrap(), task.parse().unwrap(), text(&path)))
    });
    let mut tasks: Vec<_> = tasks.collect();
    tasks.sort();
    RequestCase {
        name: folder.file_name().unwrap().to_str().unwrap().to_owned(),
        request: text(&folder.join("request.xml")),
        response: text(&folder.join("response.xml")),
        tasks,
    }
}

/// The canonical form, for comparisons.
#[track_caller]
pub fn canonical(document: &str) -> String {
    canonicalize(document.as_bytes(), &Limits::default())
        .unwrap_or_else(|error| panic!("{error}: {document}"))
}

//! The files of the worker, as they were when it was started.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The most files that are watched. Folders with more, such as those of packages, are for `--watch`
/// to leave out.
const FILES_MAX: usize = 2_000;
/// Folders that no worker is written in.
const PASSED_OVER: [&str; 4] = ["node_modules", "__pycache__", "target", "venv"];

/// When each file was changed last, and its size.
pub type Files = BTreeMap<PathBuf, (SystemTime, u64)>;

/// What to watch of a command: its words that are files here, and the paths that are named.
pub fn roots(command: &[String], named: &[PathBuf]) -> Vec<PathBuf> {
    let words = command.iter().skip(1).map(PathBuf::from);
    let files = words.filter(|word| word.is_file());
    files.chain(named.iter().cloned()).collect()
}

/// Looks at the files, and at those in folders.
pub fn look(roots: &[PathBuf]) -> Files {
    let mut files = Files::new();
    for root in roots {
        add(root, &mut files);
    }
    files
}

fn add(path: &Path, files: &mut Files) {
    let Ok(about) = path.metadata() else {
        return;
    };
    if about.is_file() && files.len() < FILES_MAX {
        let changed = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        files.insert(path.to_owned(), (changed, about.len()));
    }
    if !about.is_dir() {
        return;
    }
    for entry in path.read_dir().into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with('.') && !PASSED_OVER.contains(&&*name) {
            add(&entry.path(), files);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_command_and_of_folders_are_watched() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for inside in ["lib", "node_modules", ".git"] {
            std::fs::create_dir(path(inside)).unwrap();
            std::fs::write(path(inside).join("a.py"), "").unwrap();
        }
        std::fs::write(path("worker.py"), "1").unwrap();
        let script = path("worker.py").display().to_string();
        let command = ["python".to_owned(), script, "8".to_owned()];
        let roots = roots(&command, &[folder.path().to_owned()]);
        let before = look(&roots);
        let names: Vec<PathBuf> = before.keys().cloned().collect();
        assert_eq!(names, [path("lib/a.py"), path("worker.py")]);
        std::fs::write(path("lib/a.py"), "changed").unwrap();
        assert_ne!(look(&roots), before);
    }
}

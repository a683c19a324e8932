use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The variable with a folder of programs, before those of the `PATH`.
const TOOLS: &str = "FANFOLD_TOOLS";
/// The bit of a mode by which everybody may write.
const OTHERS_WRITE: u32 = 0o002;

/// The first of these programs beside this program, in the folder that `FANFOLD_TOOLS` names, or on
/// the `PATH`. A folder or a program that everybody may write is passed over, and so is every folder
/// that nobody named, such as the present one: whoever may write there could have put a program of
/// their own into it.
#[must_use]
pub fn find(names: &[&str]) -> Option<PathBuf> {
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent).map(Path::to_path_buf);
    let tools = std::env::var_os(TOOLS).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    find_in(names, &folders(beside, tools, &path))
}

fn folders(beside: Option<PathBuf>, tools: Option<PathBuf>, path: &OsString) -> Vec<PathBuf> {
    let path = std::env::split_paths(path);
    let all = beside.into_iter().chain(tools).chain(path);
    all.filter(|folder| folder.is_absolute()).collect()
}

fn find_in(names: &[&str], folders: &[PathBuf]) -> Option<PathBuf> {
    names.iter().find_map(|name| {
        let safe = folders.iter().filter(|folder| is_safe(folder));
        let mut places = safe.map(|folder| folder.join(name));
        places.find(|place| is_program(place))
    })
}

/// Whether not everybody may write here.
fn is_safe(place: &Path) -> bool {
    place
        .metadata()
        .is_ok_and(|found| found.mode() & OTHERS_WRITE == 0)
}

fn is_program(place: &Path) -> bool {
    let found = place.metadata();
    found.is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0) && is_safe(place)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn no_program_is_run_that_others_may_have_put_there() {
        let folder = tempfile::tempdir().unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
        let program = folder.path().join("nats-server");
        fs::write(&program, "").unwrap();
        let found = || find_in(&["nats-server"], &[folder.path().to_owned()]);
        for (of_folder, of_program, is_found) in [
            (0o755, 0o755, true),
            (0o755, 0o644, false),
            (0o755, 0o757, false),
            (0o757, 0o755, false),
            (0o1777, 0o755, false),
        ] {
            set(&program, of_program).unwrap();
            set(folder.path(), of_folder).unwrap();
            assert_eq!(found().is_some(), is_found, "{of_folder:o} {of_program:o}");
        }
    }

    #[test]
    fn only_folders_that_somebody_named_are_searched() {
        let path = OsString::from("/usr/bin:.:tools:");
        let own = Some(PathBuf::from("/opt/fanfold"));
        let tools = Some(PathBuf::from("/opt/tools"));
        let expected = ["/opt/fanfold", "/opt/tools", "/usr/bin"];
        assert_eq!(folders(own, tools, &path), expected.map(PathBuf::from));
    }
}

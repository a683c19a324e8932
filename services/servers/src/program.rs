use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The variable with a folder of programs, before those of the `PATH`.
const TOOLS: &str = "FANFOLD_TOOLS";
/// The bit of a mode by which everybody may write.
const OTHERS_WRITE: u32 = 0o002;
/// The bit of a mode by which the group may write.
const GROUP_WRITE: u32 = 0o020;
/// The bit of a mode by which only the owner of an entry of a folder can replace it.
const STICKY: u32 = 0o1000;
/// The number of links in a row that are followed.
const LINKS_MAX: usize = 16;

/// The first of these programs beside this program, in the folder that `FANFOLD_TOOLS` names, or on
/// the `PATH`. A program that another user can replace, or could have put there, is passed over with
/// a warning, and so is every folder that nobody named, such as the present one.
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
        let mut places = folders.iter().map(|folder| folder.join(name));
        places.find_map(|place| {
            if !is_program(&place) {
                return None;
            }
            let checked = checked(&place);
            checked
                .inspect_err(|reason| {
                    tracing::warn!(program = %place.display(), reason, "passed over");
                })
                .ok()
        })
    })
}

fn is_program(place: &Path) -> bool {
    let found = place.metadata();
    found.is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0)
}

/// The program at this place, in the folder where it really is, if nobody else can change it: not
/// the program, not a folder above it, and no link on the way to it. The name stays, because some
/// programs do what their name says.
fn checked(place: &Path) -> Result<PathBuf, String> {
    let resolved = |place: &Path| {
        let (folder, name) = place.parent().zip(place.file_name()).ok_or("no program")?;
        let folder = folder.canonicalize().map_err(|error| error.to_string())?;
        Ok::<_, String>(folder.join(name))
    };
    let program = resolved(place)?;
    let mut step = program.clone();
    for _ in 0..LINKS_MAX {
        let folder = step.parent().unwrap_or(Path::new("/"));
        for (height, above) in folder.ancestors().enumerate() {
            check(above, height > 0)?;
        }
        if !step.is_symlink() {
            check(&step, false)?;
            return Ok(program);
        }
        let target = step.read_link().map_err(|error| error.to_string())?;
        step = resolved(&folder.join(target))?;
    }
    Err("it is behind too many links".into())
}

/// Refuses what another user may write. In a sticky folder nobody can replace what others have put
/// there, so one may stand above the folder of the program.
fn check(place: &Path, sticky_is_safe: bool) -> Result<(), String> {
    let found = place.metadata().map_err(|error| error.to_string())?;
    let refused = |why: &str| Err(format!("{} {why}", place.display()));
    let me = rustix::process::geteuid().as_raw();
    if found.uid() != 0 && found.uid() != me {
        return refused("belongs to another user");
    }
    let is_sticky = sticky_is_safe && found.mode() & STICKY != 0;
    // Many systems give every user a group of its own, with the same number.
    let is_own_group = found.gid() == 0 || found.gid() == me && found.uid() == me;
    if found.mode() & OTHERS_WRITE != 0 && !is_sticky {
        return refused("may be written by everybody");
    }
    if found.mode() & GROUP_WRITE != 0 && !is_own_group && !is_sticky {
        return refused("may be written by a group");
    }
    Ok(())
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
    fn no_program_is_run_below_a_folder_or_behind_a_link_that_another_user_may_change() {
        let root = tempfile::tempdir().unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
        let (above, bin) = (root.path().join("above"), root.path().join("above/bin"));
        fs::create_dir_all(&bin).unwrap();
        let program = bin.join("nats-server");
        fs::write(&program, "").unwrap();
        set(&program, 0o755).unwrap();
        let found = |folder: &Path| find_in(&["nats-server"], &[folder.to_owned()]);
        let real = program.canonicalize().unwrap();
        assert_eq!(found(&bin), Some(real.clone()));
        for (mode, is_found) in [(0o777, false), (0o1777, true), (0o755, true)] {
            set(&above, mode).unwrap();
            assert_eq!(found(&bin).is_some(), is_found, "{mode:o}");
        }
        // A link from a safe folder into one that everybody may write.
        let safe = root.path().join("safe");
        fs::create_dir(&safe).unwrap();
        std::os::unix::fs::symlink(&program, safe.join("nats-server")).unwrap();
        let own = safe.canonicalize().unwrap().join("nats-server");
        assert_eq!(found(&safe), Some(own), "the name of the link stays");
        set(&bin, 0o777).unwrap();
        assert_eq!(found(&safe), None);
        set(&bin, 0o755).unwrap();
        // A link to the folder is followed once, and then it does not matter any more.
        let link = root.path().join("link");
        std::os::unix::fs::symlink(&bin, &link).unwrap();
        assert_eq!(found(&link), Some(real));
        if rustix::process::geteuid().is_root() {
            const NOBODY: u32 = 65_534;
            std::os::unix::fs::chown(&bin, None, Some(NOBODY)).unwrap();
            set(&bin, 0o775).unwrap();
            assert_eq!(found(&bin), None, "its group may write");
            set(&bin, 0o755).unwrap();
            for owned in [&program, &bin, &above] {
                std::os::unix::fs::chown(owned, Some(NOBODY), None).unwrap();
                assert_eq!(found(&bin), None, "{}", owned.display());
                std::os::unix::fs::chown(owned, Some(0), None).unwrap();
            }
            assert!(found(&bin).is_some());
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

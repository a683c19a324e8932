use std::path::{Path, PathBuf};

/// The folder of the programs that `make tools` fetched.
const TOOLS: &str = ".tools/bin";

/// The first of these programs that is in the project's own tools or on the PATH.
#[must_use]
pub fn find(names: &[&str]) -> Option<PathBuf> {
    let here = std::env::current_dir().unwrap_or_default();
    let tools = here.ancestors().map(|folder| folder.join(TOOLS));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = tools.chain(std::env::split_paths(&path)).collect();
    names.iter().find_map(|name| {
        let mut places = folders.iter().map(|folder| folder.join(name));
        places.find(|place| is_program(place))
    })
}

fn is_program(place: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    place
        .metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

//! A disk that can be full: a file system in memory, where this process may mount one.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// The size of the disk where it is not full, in MiB.
const SIZE_MIB: u64 = 4_096;
/// What a full disk still takes, in KiB: some appends, and then not one more.
const LEFT_KIB: u64 = 64;

/// A mounted disk. It is unmounted on drop.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    pub fn mount(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let size = format!("size={SIZE_MIB}m");
        run("mount", &["-t", "tmpfs", "-o", &size, "chaos"], folder)?;
        Ok(Self(folder.to_owned()))
    }

    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Leaves the disk hardly any space beside what is on it now.
    pub fn fill(&self) -> anyhow::Result<()> {
        let output = Command::new("df")
            .args(["--output=used", "-k"])
            .arg(&self.0)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let used = text
            .lines()
            .nth(1)
            .and_then(|line| line.trim().parse().ok());
        let used: u64 = used.with_context(|| format!("df says '{text}'"))?;
        let size = format!("remount,size={}k", used + LEFT_KIB);
        run("mount", &["-o", &size], &self.0)
    }

    /// Gives the disk all its space.
    pub fn empty(&self) -> anyhow::Result<()> {
        run(
            "mount",
            &["-o", &format!("remount,size={SIZE_MIB}m")],
            &self.0,
        )
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A server that still runs keeps the disk; it then goes with the server.
        let _ = run("umount", &["--lazy"], &self.0);
    }
}

fn run(program: &str, args: &[&str], folder: &Path) -> anyhow::Result<()> {
    let output = Command::new(program).args(args).arg(folder).output()?;
    if !output.status.success() {
        bail!(
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

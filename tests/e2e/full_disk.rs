use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{Valuer, World, until};

use crate::document;
use crate::own_servers::up;

/// The size of the disk of the test, in MiB. A tenth of it is the reserve.
const DISK_MIB: usize = 96;
/// A mebibyte.
const MIB: usize = 1024 * 1024;

/// A small disk, which is unmounted on drop.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this user may not mount one.
    fn mount(folder: PathBuf) -> Option<Self> {
        fs::create_dir_all(&folder).unwrap();
        let size = format!("size={DISK_MIB}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "none"])
            .arg(&folder)
            .output();
        let mounted = mounted.is_ok_and(|mounted| mounted.status.success());
        mounted.then_some(Self(folder))
    }

    fn other_file(&self) -> PathBuf {
        self.0.join("of-another-program")
    }

    /// Lets another program fill the disk, but for this many bytes.
    fn fill_but(&self, free: usize) {
        let mut file = File::create(self.other_file()).unwrap();
        let block = vec![7; 64 * 1024];
        while free_bytes(&self.0) > free && file.write_all(&block).is_ok() {}
        if free == 0 {
            while file.write_all(&[7]).is_ok() {}
        }
    }

    fn empty(&self) {
        fs::remove_file(self.other_file()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The servers of a failed test still use the disk.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

fn free_bytes(folder: &Path) -> usize {
    let disk = rustix::fs::statvfs(folder).unwrap();
    usize::try_from(disk.f_bavail * disk.f_frsize).unwrap()
}

#[tokio::test]
async fn a_disk_that_fills_up_refuses_submissions_first_and_everything_accepted_ends() {
    let world = World::own().await;
    let Some(disk) = SmallDisk::mount(world.folder().join("disk")) else {
        eprintln!("skipped: this user may not mount a disk");
        return;
    };
    let (valuer, gate) = Valuer::held().await;
    let mut program = up(&world, &disk.0.join("data"), valuer.url()).await;
    let client = program.client();
    let mut accepted = Vec::new();
    for _ in 0..5 {
        accepted.push(client.submit(&document(2, 3), "").await.id());
    }
    until("every first group runs", || async {
        valuer.calls_so_far() >= 15
    })
    .await;

    // Less than the reserve is left: nothing new comes in.
    disk.fill_but(6 * MIB);
    let refused = || async { client.submit(&document(1, 1), "").await.status == 507 };
    until("submissions are refused", refused).await;
    let refused = client.submit(&document(1, 1), "").await;
    assert_eq!(refused.json()["code"], "storage-full");
    assert!(!refused.header("retry-after").is_empty());
    let ready = client.get("/readyz").await;
    let said = ready.json()["dependencies"]["storage"].to_string();
    assert!(ready.status == 200 && said.contains("bytes free"), "{said}");

    // Nothing at all is left: the broker meets a write error, which it keeps.
    disk.fill_but(0);
    gate.send(true).unwrap();
    until("it is said that commits have no answer", || async {
        let ready = client.get("/readyz").await;
        let said = ready.json()["dependencies"]["log"].to_string();
        ready.status == 503 && said.contains("restart the server once there is room")
    })
    .await;
    until("every role says it", || async {
        let ready = program.admin().get("/readyz").await.json();
        ready["degraded"].to_string().contains("log")
    })
    .await;

    // Once there is room, everything goes on by itself.
    disk.empty();
    for id in &accepted {
        client.until_status(id, "succeeded").await;
    }
    let taken = || async { client.submit(&document(1, 1), "").await.status == 202 };
    until("submissions are accepted again", taken).await;
    until("everything is ready", || client.ready()).await;
    let log = program.log();
    assert!(log.contains("restarting it"), "{log}");
    assert!(program.stop().await.success());
}

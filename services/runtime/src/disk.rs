//! The room on the disk of the broker that `up` starts.

use std::io;
use std::path::Path;

use rustix::fs::statvfs;

/// One part in this many of the disk is the reserve, in which requests that were accepted can end.
const RESERVE_PART: u64 = 10;
/// The largest reserve, in bytes.
const RESERVE_MOST: u64 = 4 * 1024 * 1024 * 1024;
/// From this part of the reserve on, the disk counts as full.
const FULL_PART: u64 = 4;

/// The size of a disk and its free part, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// What this user may still write.
    pub free: u64,
    /// All of it.
    pub size: u64,
}

impl Disk {
    /// The disk that has this folder.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let found = statvfs(folder)?;
        Ok(Self {
            free: found.f_bavail.saturating_mul(found.f_frsize),
            size: found.f_blocks.saturating_mul(found.f_frsize),
        })
    }

    /// The bytes that new requests must leave free.
    #[must_use]
    pub fn reserve(self) -> u64 {
        (self.size / RESERVE_PART).min(RESERVE_MOST)
    }

    /// Whether new requests are refused, so that accepted ones can end.
    #[must_use]
    pub fn is_nearly_full(self) -> bool {
        self.free < self.reserve()
    }

    /// Whether so little is free that a server could not work if it were started.
    #[must_use]
    pub fn is_full(self) -> bool {
        self.free < self.reserve() / FULL_PART
    }

    /// The most bytes that the broker's streams may have on this disk.
    #[must_use]
    pub fn streams_max(self) -> u64 {
        self.size - self.reserve() / FULL_PART
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1024 * 1024 * 1024;

    #[test]
    fn new_requests_leave_a_tenth_of_a_small_disk_and_a_few_gibibytes_of_a_large_one() {
        let (free, size) = (9 * GIB / 10, 10 * GIB);
        assert!(Disk { free, size }.is_nearly_full());
        assert!(!Disk { free, size }.is_full());
        let free = 5 * GIB;
        assert!(
            !Disk {
                free,
                size: 1_000 * GIB
            }
            .is_nearly_full()
        );
        assert_eq!(
            Disk {
                free,
                size: 1_000 * GIB
            }
            .streams_max(),
            999 * GIB
        );
        assert!(Disk { free: 0, size }.is_full());
    }

    #[test]
    fn the_disk_of_a_folder_is_found() {
        let disk = Disk::of(&std::env::temp_dir()).unwrap();
        assert!(disk.size > 0 && disk.free <= disk.size);
        assert!(Disk::of(Path::new("/no/such/folder")).is_err());
    }
}

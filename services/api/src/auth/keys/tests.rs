use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::PathBuf;
use std::time::Duration;

use runtime::Settings;

use super::*;

/// Another user of this machine, for a test that runs as root.
const NOBODY: u32 = 65_534;

fn config(path: &std::path::Path) -> CallersConfig {
    let path = path.display().to_string();
    let find = |name: &str| (name == "AUTH_KEYS_FILE").then(|| path.clone());
    Settings::load(None, find, |_| None).unwrap().callers
}

fn line(subject: &str) -> Line {
    let new = NewKey::make().unwrap();
    Line {
        id: new.id,
        proof: Proof::Key(new.sha256),
        subject: subject.parse().unwrap(),
        grants: vec!["default:read".parse().unwrap()],
        expires: None,
    }
}

fn place(config: &CallersConfig) -> KeysPlace {
    KeysPlace::new(config)
}

/// A file with a line of each of these subjects.
fn file_of(subjects: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let lines = subjects
        .iter()
        .map(|subject| format!("{}\n", line(subject)));
    fs::write(&path, lines.collect::<String>()).unwrap();
    (folder, path)
}

fn added(place: &KeysPlace, subject: &str) -> bool {
    let change = |file: &mut KeyFile| {
        file.add(line(subject));
        true
    };
    place.change(change).unwrap()
}

#[test]
fn a_changed_file_keeps_its_owner_its_group_and_its_mode() {
    let (_folder, path) = file_of(&["ann"]);
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let before = fs::metadata(&path).unwrap();
    assert!(added(&place(&config(&path)), "bob"));
    let after = fs::metadata(&path).unwrap();
    assert_ne!(after.ino(), before.ino(), "a reader never sees half a file");
    let kept = |found: &fs::Metadata| (found.uid(), found.gid(), found.mode());
    assert_eq!(kept(&after), kept(&before));
    assert!(!is_root || after.uid() == NOBODY);
}

#[test]
fn a_link_to_the_file_stays_a_link_and_the_file_behind_it_changes() {
    let (folder, path) = file_of(&["ann"]);
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    let of_link = place(&config(&link));
    let id = of_link.read().unwrap().lines().next().unwrap().id.clone();
    assert!(of_link.change(|file| file.remove(&id)).unwrap());
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(place(&config(&path)).read().unwrap().lines().count(), 0);
}

#[test]
fn commands_that_change_the_file_at_once_lose_none_of_their_lines() {
    let (_folder, path) = file_of(&[]);
    let config = config(&path);
    let callers = 20;
    std::thread::scope(|scope| {
        for n in 0..callers {
            let config = &config;
            scope.spawn(move || added(&place(config), &format!("caller-{n}")));
        }
    });
    assert_eq!(place(&config).read().unwrap().lines().count(), callers);
}

#[test]
fn a_command_does_not_wait_for_another_one_for_ever() {
    let (_folder, path) = file_of(&["ann"]);
    let mut config = config(&path);
    config.auth_keys_lock = Duration::from_millis(20);
    let other = fs::File::open(&path).unwrap();
    other.lock().unwrap();
    let refused = place(&config).change(|_| true).unwrap_err().to_string();
    assert!(refused.contains("another command"), "{refused}");
}

#[test]
fn a_pipe_a_folder_and_a_file_that_is_too_large_are_refused_at_once() {
    let (folder, path) = file_of(&["ann"]);
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for no_file in [pipe.as_path(), folder.path()] {
        let refused = place(&config(no_file)).read().unwrap_err().to_string();
        assert!(refused.contains("no regular file"), "{refused}");
    }
    let size = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap();
    let mut config = config(&path);
    config.auth_keys_max_bytes = size;
    assert_eq!(place(&config).read().unwrap().lines().count(), 1);
    let refused = place(&config).change(|file| {
        file.add(line("bob"));
        true
    });
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("AUTH_KEYS_MAX_BYTES"), "{refused}");
    config.auth_keys_max_bytes = size - 1;
    let refused = place(&config).read().unwrap_err().to_string();
    assert!(refused.contains("AUTH_KEYS_MAX_BYTES"), "{refused}");
}

#[test]
fn a_file_that_has_not_changed_is_not_read_again() {
    let (_folder, path) = file_of(&["ann"]);
    let place = place(&config(&path));
    let fresh = place.reading().unwrap();
    assert_eq!(fresh.stamp, None, "it may change again at the same time");
    let stamp = Some(Stamp::of(&fs::metadata(&path).unwrap()));
    assert!(place.reading_after(stamp).unwrap().is_none());
    fs::write(&path, "").unwrap();
    let changed = place.reading_after(stamp).unwrap().unwrap();
    assert_eq!(changed.file.lines().count(), 0);
}

#[test]
fn many_lines_are_read_in_a_time_that_grows_with_their_number() {
    let template = line("ann").to_string();
    let (_, rest) = template.split_once(' ').unwrap();
    let lines: Vec<String> = (0..50_000).map(|n| format!("k{n} {rest}")).collect();
    let text = lines.join("\n");
    let began = std::time::Instant::now();
    let file: KeyFile = text.parse().unwrap();
    assert_eq!(file.lines().count(), 50_000);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_leaves_the_keys_and_is_a_fault_until_it_can() {
    let (folder, path) = file_of(&["ann"]);
    let mut config = config(&path);
    config.auth_keys_check = Duration::from_millis(5);
    let keys = Keys::open(&config).unwrap();
    assert_eq!(keys.fault(Timestamp::now()), None);
    let away = folder.path().join("away");
    let changing = async {
        fs::rename(&path, &away).unwrap();
        let fault = loop {
            if let Some(fault) = keys.fault(Timestamp::now()) {
                break fault;
            }
            tokio::task::yield_now().await;
        };
        assert!(fault.starts_with("not read since 2"), "{fault}");
        assert_eq!(keys.set().count(), 1);
        fs::write(&path, "").unwrap();
        while keys.fault(Timestamp::now()).is_some() {
            tokio::task::yield_now().await;
        }
        assert_eq!(keys.set().count(), 0, "an empty file revokes every key");
    };
    tokio::select! {
        () = changing => {}
        () = keys.follow() => unreachable!("it follows for ever"),
    }
    // Nobody looks any more, as if the file system gave no answer.
    let later = Timestamp::now() + LATE + config.auth_keys_check;
    assert!(keys.fault(later).unwrap().ends_with("no answer"));
}

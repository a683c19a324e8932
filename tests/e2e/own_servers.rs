use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use futures::future::join_all;
use harness::{Program, Valuer, World, until};

use crate::document;

/// The folder in which NATS stages the batches of the log under `up`.
fn staging(data: &Path) -> Option<PathBuf> {
    let log = data.join("nats/jetstream/jetstream/$G/streams/REQUESTS_0");
    assert!(log.is_dir(), "not there: {}", log.display());
    fs::read_link(log.join("batches")).ok()
}

fn changed(folder: &Path) -> SystemTime {
    fs::metadata(folder).unwrap().modified().unwrap()
}

/// Starts `up` with embedded servers.
pub async fn up(world: &World, data: &Path, executor: &str) -> Program {
    up_with(world, data, executor, &[]).await
}

/// Starts `up` with embedded servers and further settings.
pub async fn up_with(
    world: &World,
    data: &Path,
    executor: &str,
    further: &[(&str, &str)],
) -> Program {
    let mut settings = vec![
        ("NATS_URL", ""),
        ("REDIS_URL", ""),
        ("FANFOLD_TEST_NATS_PORT", "0"),
        ("FANFOLD_TEST_REDIS_PORT", "0"),
        ("DATA_DIR", data.to_str().unwrap()),
        ("EXECUTOR", executor),
    ];
    settings.extend(further);
    Program::start(env!("CARGO_BIN_EXE_fanfold"), "up", world, &settings).await
}

#[tokio::test]
#[cfg_attr(not(target_os = "linux"), ignore = "there is no /dev/shm")]
async fn up_starts_its_own_servers_and_has_batches_staged_in_memory_until_it_stops() {
    // The embedded servers run next to those of the test.
    let world = World::own().await;
    let valuer = Valuer::golden().await;
    let data = world.folder().join("data");
    let mut program = up(&world, &data, valuer.url()).await;
    let first = staging(&data).expect("staged in memory");
    assert!(first.starts_with("/dev/shm"), "{first:?}");

    let client = program.client();
    let begun = changed(&first);
    let mut ids = Vec::new();
    while changed(&first) == begun {
        assert!(ids.len() < 10_000, "no batch was made");
        let document = document(1, 1);
        let submitting = (0..200).map(|_| client.submit(&document, ""));
        ids.extend(join_all(submitting).await.into_iter().map(|a| a.id()));
    }

    // A cleaner of `/dev/shm` does not know of the folder. NATS then stages batches on disk.
    fs::remove_dir_all(first.parent().unwrap()).unwrap();
    until("it is noticed", || async { staging(&data).is_none() }).await;
    let document = document(1, 1);
    let submitting = (0..200).map(|_| client.submit(&document, ""));
    ids.extend(join_all(submitting).await.into_iter().map(|a| a.id()));

    program.kill().await;
    program.restart().await;
    let second = staging(&data).expect("staged in memory");
    let client = program.client();
    for id in &ids {
        client.until_status(id, "succeeded").await;
    }

    program.kill().await;
    program.restart().await;
    let third = staging(&data).expect("staged in memory");
    let left = second.display();
    assert!(third != second && !second.exists(), "left behind: {left}");

    assert!(program.stop().await.success());
    assert_eq!(staging(&data), None);
    assert!(!third.exists(), "left behind: {}", third.display());
}

#[tokio::test]
#[cfg_attr(not(target_os = "linux"), ignore = "nats-server is told nothing there")]
async fn the_embedded_servers_yield_the_processor_and_nats_collects_garbage_rarely() {
    let world = World::own().await;
    let data = world.folder().join("data");
    let mut program = up(&world, &data, "noop").await;
    for server in ["nats/nats-server", "redis/redis-server"] {
        let pid = fs::read_to_string(data.join(server).with_extension("pid")).unwrap();
        // The batch policy, in the kernel's numbers.
        assert_eq!(harness::policy(&pid), 3, "{server}");
    }
    let pid = fs::read_to_string(data.join("nats/nats-server.pid")).unwrap();
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    for told in ["GOGC=300", "GOMEMLIMIT="] {
        assert!(environment.split('\0').any(|set| set.starts_with(told)));
    }
    assert!(program.stop().await.success());
}

#[tokio::test]
async fn a_second_up_on_one_data_folder_says_so_and_touches_nothing() {
    let world = World::own().await;
    let valuer = Valuer::golden().await;
    let data = world.folder().join("data");
    let mut program = up(&world, &data, valuer.url()).await;
    let second = tokio::process::Command::new(env!("CARGO_BIN_EXE_fanfold"))
        .arg("up")
        .env("DATA_DIR", &data)
        .env("HTTP_PORT", "0")
        .env("ADMIN_PORT", "0")
        .output();
    let second = tokio::time::timeout(harness::LIMIT, second).await;
    let second = second.expect("it ends").unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{said}");
    let owner = format!("(process {}) uses this folder", program.pid());
    assert!(said.contains(&owner), "{said}");
    let client = program.client();
    let id = client.submit(&document(1, 1), "").await.id();
    client.until_status(&id, "succeeded").await;
    // A tool finds the servers through the data folder, without their ports.
    let listed = tokio::process::Command::new(env!("CARGO_BIN_EXE_fanfold"))
        .args(["replay", "show", &id, "--json"])
        .env("DATA_DIR", &data)
        .output();
    let listed = listed.await.unwrap();
    let said = String::from_utf8_lossy(&listed.stdout);
    assert!(said.contains(&id), "{said}");
    assert!(program.stop().await.success());
}

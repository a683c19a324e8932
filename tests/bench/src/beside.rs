//! Full load next to `fanfold replay verify --all`: how much the scan slows the load.

use std::process::Stdio;
use std::time::Duration;

use harness::{Program, World};
use tokio::process::Command;

use crate::load::{self, Expect};
use crate::measure::{SETTINGS, binary};
use crate::workload::Workload;

/// How long each measurement takes. Measurements with and without the scan alternate.
const STRETCH: Duration = Duration::from_secs(10);
/// How many measurements of each kind are made.
const ROUNDS: usize = 4;

#[allow(clippy::cast_precision_loss)] // Counts of a bench are far below 2^52.
pub async fn run(workload: &Workload, sync: &'static str) {
    let mut world = World::own_that_syncs(sync).await;
    let program = Program::start(&binary(), "up", &world, &SETTINGS).await;
    world.stage_in_memory();
    let client = program.client();
    let address = client.base().trim_start_matches("http://");
    let expect = Expect::of(workload);
    let load = || load::closed(address, &expect, workload.callers, STRETCH);
    load().await;
    let (mut alone, mut beside, mut readings) = (0, 0, 0);
    for round in 0..ROUNDS {
        // Alternate which one comes first, because the machine and the log change with time.
        if round % 2 == 0 {
            alone += load().await.len();
        }
        let reading = async {
            loop {
                verify(&world).await;
                readings += 1;
            }
        };
        beside += tokio::select! {
            times = load() => times.len(),
            () = reading => 0,
        };
        if round % 2 == 1 {
            alone += load().await.len();
        }
    }
    let rate = |requests: usize| requests as f64 / (STRETCH.as_secs_f64() * ROUNDS as f64);
    println!(
        "{}: {:.0} requests/s alone, {:.0} beside verify --all ({readings} readings to the end): {:.1} % less",
        workload.name,
        rate(alone),
        rate(beside),
        100.0 - 100.0 * beside as f64 / alone as f64
    );
}

/// Scans the whole log and compares it with the views. Views of running requests may differ.
async fn verify(world: &World) {
    let verified = Command::new(binary())
        .args(["replay", "verify", "--all"])
        .env("NATS_URL", world.nats_url())
        .env("REDIS_URL", world.redis_url())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .unwrap();
    let code = verified.code();
    assert!(matches!(code, Some(0 | 2)), "verify ended with {code:?}");
}

//! The short form of `make chaos`.

use std::env;
use std::path::PathBuf;

use chaos::Plan;

/// The seed, where `SEED` is not set.
const SEED: u64 = 23;

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_under_ten_kinds_of_faults_loses_doubles_and_keeps_nothing() {
    let seed = env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let plan = Plan {
        binary: env!("CARGO_BIN_EXE_fanfold").into(),
        folder: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("chaos"),
        seed: seed.unwrap_or(SEED),
        requests: 120,
        faults: 10,
        seconds: 40,
        shards: 2,
        only: Vec::new(),
        short_leases: true,
        aloud: false,
    };
    let report = chaos::run(&plan).await.unwrap();
    println!("{}", report.text());
    assert!(report.is_clean(), "see {}", report.folder().display());
}

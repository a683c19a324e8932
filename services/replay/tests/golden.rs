//! The golden bundles: this build decides them as they were decided once.

use std::path::Path;

#[tokio::test]
async fn every_golden_bundle_is_decided_again_as_it_was() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/replay");
    let mut seen = 0;
    for entry in std::fs::read_dir(cases).unwrap() {
        let case = entry.unwrap().path();
        let differs = replay::golden(&case).await.unwrap();
        assert_eq!(differs, None, "{}", case.display());
        seen += 1;
    }
    assert!(seen > 0, "there are no golden bundles");
}

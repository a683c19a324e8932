//! `docs/metrics.md` is made from the registry. `UPDATE_DOCS=1` writes it anew.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fmt::Write as _;
use std::path::Path;

use metrics::{Part, catalogue};

/// What stands above the tables.
const PREFACE: &str = include_str!("preface.md");

fn page() -> String {
    let all = catalogue();
    let mut page = PREFACE.to_owned();
    for part in Part::ALL {
        let _ = write!(page, "\n## {}\n\n", part.words());
        page.push_str("| metric | type | labels | meaning |\n|---|---|---|---|\n");
        for entry in all.iter().filter(|entry| entry.part == part) {
            let labels: Vec<String> = entry.labels.iter().map(|l| format!("`{l}`")).collect();
            let (name, kind, help) = (entry.name, entry.kind, entry.help);
            let _ = writeln!(
                page,
                "| `{name}` | {kind} | {} | {help} |",
                labels.join(", ")
            );
        }
    }
    page
}

#[test]
fn the_page_of_metrics_is_the_one_that_the_registry_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == page,
        "docs/metrics.md is not what the registry makes: run this test with UPDATE_DOCS=1"
    );
}

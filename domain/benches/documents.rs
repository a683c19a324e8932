//! Measures the cost of documents: checking, splitting and assembling them, from one task to a
//! hundred thousand, with their memory. `cargo bench -p domain --bench documents`; `TASKS=100` in
//! the environment measures that size only.
#![allow(
    clippy::unwrap_used,
    clippy::format_push_string,
    clippy::format_collect
)] // A broken bench must stop.

use domain::request::TaskNumber;
use std::hint::black_box;

use divan::counter::{BytesCount, ItemsCount};
use divan::{AllocProfiler, Bencher};
use domain::document::{CapturedResources, Document, Effort, Limits};
use sha2::{Digest, Sha256};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

const TASKS: [usize; 4] = [1, 100, 10_000, 100_000];

/// The size in `TASKS` of the environment, or all four sizes.
fn tasks() -> Vec<usize> {
    // A bench may read the environment; the domain may not.
    #[expect(clippy::disallowed_methods)]
    let one = std::env::var("TASKS").ok().and_then(|one| one.parse().ok());
    one.map_or_else(|| TASKS.to_vec(), |one| vec![one])
}

/// The size of the document of 10,000 tasks, as the performance target defines it.
const TEN_MEBIBYTES: usize = 10 * 1024 * 1024;
/// The shared definitions of each kind.
const DEFINITIONS: usize = 50;

fn main() {
    divan::main();
}

fn roomy() -> Limits {
    Limits {
        max_bytes: 256 * 1024 * 1024,
        max_nodes: 20_000_000,
        ..Limits::default()
    }
}

/// A document of this many valuations. Each selects shared definitions and has a part of its own,
/// about a KiB.
fn document(tasks: usize) -> String {
    let mut xml = String::from("<?xml version=\"1.0\"?>\n<vnml>\n  <project name=\"bench\">\n");
    for index in 0..DEFINITIONS {
        xml.push_str(&format!(
            "    <market name=\"M{index}\" date=\"2024-08-30\"><source>Yahoo</source><currency>USD</currency><rate>0.0{index}</rate></market>\n    <model name=\"H{index}\"><type>Historical</type><volatility type=\"implied\"><hjm><sigma>0.1</sigma><beta>0.2</beta></hjm></volatility></model>\n"
        ));
    }
    xml.push_str("    <calculator name=\"C\"/>\n    <group name=\"all\">\n");
    let own = TEN_MEBIBYTES / 10_000 - 540;
    let filler: String = (0..own / 40)
        .map(|field| {
            format!(
                "          <field n=\"{field:03}\">{:013}</field>\n",
                field * 7919
            )
        })
        .collect();
    for index in 0..tasks {
        let shared = index % DEFINITIONS;
        xml.push_str(&format!(
            "      <valuation name=\"v{index}\" date=\"${{select(/vnml/project/market[1]/@date)}}\">\n        <market select=\"/vnml/project/market[@name='M{shared}']\"/>\n        <model name=\"own\" select=\"/vnml/project/model[@name='H{shared}']\"><volatility><hjm><sigma>0.{index}</sigma></hjm></volatility></model>\n        <calculator select=\"/vnml/project/calculator[1]\"/>\n        <instrument name=\"I{index}\">\n{filler}        </instrument>\n      </valuation>\n"
        ));
    }
    xml.push_str("    </group>\n  </project>\n</vnml>\n");
    xml
}

fn accepted(tasks: usize) -> Document {
    Document::accept(document(tasks).as_bytes(), &roomy()).unwrap()
}

/// The work of a submission: accept a document, and make its fingerprint.
#[divan::bench(args = tasks(), max_time = 2)]
fn check(bencher: Bencher, tasks: usize) {
    let xml = document(tasks);
    bencher.counter(BytesCount::of_str(&xml)).bench(|| {
        let document = Document::accept(black_box(xml.as_bytes()), &roomy()).unwrap();
        let mut fingerprint = Sha256::new();
        document.canonical_pieces(|piece| fingerprint.update(piece));
        fingerprint.finalize()
    });
}

#[divan::bench(args = tasks(), max_time = 2)]
fn split(bencher: Bencher, tasks: usize) {
    let document = accepted(tasks);
    let resources = CapturedResources::default();
    bencher.counter(ItemsCount::new(tasks)).bench(|| {
        let count = document.count_tasks(&resources, 0, Effort::Whole).unwrap();
        let numbers = TaskNumber::up_to(u32::try_from(count).unwrap());
        for task in document
            .tasks(&resources, 0, numbers, usize::MAX, Effort::Whole)
            .unwrap()
        {
            black_box(task);
        }
    });
}

#[divan::bench(args = tasks(), max_time = 2)]
fn assemble(bencher: Bencher, tasks: usize) {
    let result = b"<vnml><project><group><valuation name='v'><analytics><price><amount>101.25</amount></price></analytics></valuation></group></project></vnml>";
    bencher
        .counter(ItemsCount::new(tasks))
        .with_inputs(|| accepted(tasks))
        .bench_values(|mut document| {
            let results = std::iter::repeat_n(result.as_slice(), tasks);
            document.put_results(0, results).unwrap();
            document.response().unwrap()
        });
}

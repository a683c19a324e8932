//! Selects in a document of 9 MB: Fanfold's evaluator against oxml. Both compile each expression;
//! Fanfold's also writes its result. `cargo bench -p domain --bench xpath`.
#![allow(clippy::unwrap_used, clippy::format_collect)] // A broken bench must stop.

use std::hint::black_box;

use divan::Bencher;
use divan::counter::ItemsCount;
use domain::document::{CapturedResources, Document, Limits};

/// The valuations of the document.
const VALUATIONS: usize = 10_000;
/// The selects of a run: enough for a comparison, few enough for the slowest to end.
const SELECTS: usize = 100;

const SHAPES: [&str; 4] = [
    "/vnml/project/market[@name='M#']",
    "/vnml/project/group/valuation[@name='v#']",
    "/vnml/project/group/valuation[#]/instrument",
    "//valuation[@name='v#']",
];

fn main() {
    divan::main();
}

fn document() -> String {
    let definitions = (0..50).map(|n| format!("<market name='M{n}'><rate>0.0{n}</rate></market>"));
    let fields: String = (0..45).map(|n| format!("<f n='{n}'>{n:06}</f>")).collect();
    let valuations = (0..VALUATIONS)
        .map(|n| format!("<valuation name='v{n}'><instrument>{fields}</instrument></valuation>"));
    let (definitions, valuations): (Vec<_>, Vec<_>) = (definitions.collect(), valuations.collect());
    format!(
        "<vnml><project>{}<group>{}</group></project></vnml>",
        definitions.concat(),
        valuations.concat()
    )
}

fn expressions(shape: &str) -> Vec<String> {
    let places = (0..SELECTS).map(|n| 1 + n * 37 % 49);
    places.map(|n| shape.replace('#', &n.to_string())).collect()
}

#[divan::bench(args = SHAPES, max_time = 2)]
fn ours(bencher: Bencher, shape: &str) {
    let (xml, expressions) = (document(), expressions(shape));
    let document = Document::accept(xml.as_bytes(), &Limits::default()).unwrap();
    let resources = CapturedResources::default();
    bencher.counter(ItemsCount::new(SELECTS)).bench(|| {
        for expression in &expressions {
            black_box(document.hydrate(&resources, expression).unwrap());
        }
    });
}

#[divan::bench(args = SHAPES, max_time = 2)]
fn oxml(bencher: Bencher, shape: &str) {
    let (xml, expressions) = (document(), expressions(shape));
    let document = ::oxml::parse(&xml).unwrap();
    bencher.counter(ItemsCount::new(SELECTS)).bench(|| {
        for expression in &expressions {
            let compiled = ::oxml::XPath::compile(expression).unwrap();
            let found = compiled.evaluate(&document);
            assert_eq!(found.nodes().map(<[_]>::len), Some(1));
        }
    });
}

#[divan::bench(max_time = 2)]
fn ours_parses(bencher: Bencher) {
    let xml = document();
    bencher.bench(|| Document::accept(xml.as_bytes(), &Limits::default()).unwrap());
}

#[divan::bench(max_time = 2)]
fn oxml_parses(bencher: Bencher) {
    let xml = document();
    bencher.bench(|| ::oxml::parse(&xml).unwrap());
}

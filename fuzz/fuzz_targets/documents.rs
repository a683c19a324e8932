//! Parse, hydrate, split and assemble whatever comes. Nothing may panic, what is written must be
//! read again, and unchanged results must give a document that is accepted.
#![no_main]

use domain::document::{
    CapturedResources, Document, Effort, HydrationError, Limits, canonicalize,
};
use domain::request::TaskNumber;
use libfuzzer_sys::fuzz_target;

/// Small enough that a run is over soon, large enough that every limit can be hit.
fn limits() -> Limits {
    Limits {
        max_bytes: 64 * 1024,
        max_visits: 20_000,
        max_made: 5_000,
        max_hydrated_bytes: 256 * 1024,
        max_tasks: 64,
        max_references: 4,
        ..Limits::default()
    }
}

fuzz_target!(|bytes: &[u8]| {
    // What follows a form feed, which no document has, is what every href brings.
    let mut parts = bytes.split(|byte| *byte == 0x0C);
    let (document, remote) = (parts.next().unwrap_or_default(), parts.next());
    let Ok(mut document) = Document::accept(document, &limits()) else {
        return;
    };
    let canonical = document.canonical();
    let again = canonicalize(canonical.as_bytes(), &limits_of_written());
    assert_eq!(again.expect("the canonical form is a document"), canonical);
    let mut resources = CapturedResources::default();
    if !complete(&document, &mut resources, remote) {
        return;
    }
    for target in ["/", "//valuation"] {
        if let Ok(hydrated) = document.hydrate(&resources, target) {
            canonicalize(hydrated.as_bytes(), &limits_of_written()).expect("it is a document");
        }
    }
    for group in 0..document.groups() {
        let Some(results) = tasks(&document, &resources, group) else {
            return;
        };
        let without_copies = document.response_with(group, &results);
        if document
            .put_results(group, results.iter().map(Vec::as_slice))
            .is_err()
        {
            assert!(without_copies.is_err(), "both refuse");
            return;
        }
        assert_eq!(without_copies, document.response(), "both are the same");
    }
    let response = document.response().expect("it is not too large");
    Document::accept(&response, &limits_of_written()).expect("the response is a document");
});

/// What is written may be larger and deeper than what was read.
fn limits_of_written() -> Limits {
    Limits {
        max_bytes: usize::MAX,
        max_depth: 1_000,
        max_attributes: 100_000,
        max_namespaces: 100_000,
        ..Limits::default()
    }
}

/// Gives every href the same document, as long as something is asked for.
fn complete(document: &Document, resources: &mut CapturedResources, remote: Option<&[u8]>) -> bool {
    for _ in 0..8 {
        match document.hydrate(resources, "/") {
            Err(HydrationError::Missing { uris }) => {
                for uri in uris {
                    let Some(remote) = remote else { return true };
                    if resources.insert(&uri, remote).is_err() {
                        return false;
                    }
                }
            }
            _ => return true,
        }
    }
    true
}

fn tasks(document: &Document, resources: &CapturedResources, group: usize) -> Option<Vec<Vec<u8>>> {
    let count = document.count_tasks(resources, group, Effort::Whole).ok()?;
    let count = u32::try_from(count).ok()?;
    let numbers = TaskNumber::up_to(count);
    let made = document.tasks(resources, group, numbers, usize::MAX, Effort::Whole);
    let mut all = Vec::new();
    for task in made.ok()? {
        canonicalize(&task.xml, &limits_of_written()).expect("a task is a document");
        all.push(task.xml);
    }
    Some(all)
}

//! Parses, hydrates, splits and assembles any bytes. No step may panic, written documents must be
//! readable, and unchanged results must give a document that is accepted.
#![no_main]

use domain::document::{
    CapturedResources, Document, Effort, HydrationError, Limits, canonicalize,
};
use domain::request::TaskNumber;
use libfuzzer_sys::fuzz_target;

/// Small enough for short runs, and large enough that an input can reach every limit.
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
    // A form feed, which no document may have, separates the document from the content of every
    // href.
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

/// The limits for written documents, which may be larger and deeper than the input.
fn limits_of_written() -> Limits {
    Limits {
        max_bytes: usize::MAX,
        max_depth: 1_000,
        max_attributes: 100_000,
        max_namespaces: 100_000,
        ..Limits::default()
    }
}

/// Gives every href the same document, until the document needs no more.
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

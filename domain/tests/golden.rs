//! The golden cases: documents with exact answers.

#![allow(clippy::unwrap_used, clippy::panic)] // A broken case must stop the test.

use domain::request::TaskNumber;
use std::fs;
use std::path::{Path, PathBuf};

use domain::document::{
    CapturedResources, Document, Effort, HydrationError, Limits, TaskDocument, canonicalize,
};

fn golden(kind: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/golden")
        .join(kind);
    let mut cases = folders(&root);
    // The documents of two cases came from elsewhere, and are read there.
    let shared = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/golden")
        .join(kind);
    if kind == "requests" && shared.is_dir() {
        cases.extend(folders(&shared));
    }
    assert!(!cases.is_empty(), "no cases in {}", root.display());
    cases
}

fn folders(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root).unwrap();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

fn canonical(xml: &[u8]) -> String {
    let text = canonicalize(xml, &Limits::default());
    text.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(xml)))
}

/// `s3://bucket/X` is the file `X` of the case.
fn hydrate(case: &Path, document: &Document, target: &str) -> Result<String, HydrationError> {
    let mut resources = CapturedResources::default();
    loop {
        match document.hydrate(&resources, target) {
            Err(HydrationError::Missing { uris }) => {
                for uri in uris {
                    let file = uri.rsplit('/').next().unwrap();
                    resources.insert(&uri, &fs::read(case.join(file)).unwrap())?;
                }
            }
            done => return done,
        }
    }
}

#[test]
fn every_hydration_case_gives_its_answer() {
    let mut wrong = Vec::new();
    for case in golden("hydration") {
        let about: serde_json::Value =
            serde_json::from_slice(&fs::read(case.join("case.json")).unwrap()).unwrap();
        let input = fs::read(case.join("input.xml")).unwrap();
        let document = Document::accept(&input, &Limits::default()).unwrap();
        let answer = hydrate(&case, &document, about["target"].as_str().unwrap());
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        match (fs::read(case.join("expected.xml")), answer) {
            (Ok(expected), Ok(answer)) => {
                let (expected, answer) = (canonical(&expected), canonical(answer.as_bytes()));
                if expected != answer {
                    wrong.push(format!(
                        "{name}\n  expected {expected}\n  got      {answer}"
                    ));
                }
            }
            (Ok(_), Err(error)) => wrong.push(format!("{name}: {error}")),
            (Err(_), Ok(answer)) => wrong.push(format!("{name}: an error is expected: {answer}")),
            (Err(_), Err(error)) => assert!(error.code().as_str().starts_with("hydration-")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_request_case_becomes_its_tasks_and_its_response() {
    let resources = CapturedResources::default();
    for case in golden("requests") {
        let name = case.display();
        let request = fs::read(case.join("request.xml")).unwrap();
        let mut document = Document::accept(&request, &Limits::default()).unwrap();
        for group in 0..document.groups() {
            let count = document
                .count_tasks(&resources, group, Effort::Whole)
                .unwrap();
            let numbers = TaskNumber::up_to(u32::try_from(count).unwrap());
            let tasks: Vec<TaskDocument> = document
                .tasks(&resources, group, numbers, usize::MAX, Effort::Whole)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            let mut results = Vec::new();
            for task in tasks {
                let file = |kind: &str| {
                    let path = case.join(format!("{kind}-{group}-{}.xml", task.number));
                    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
                };
                assert_eq!(
                    canonical(&task.xml),
                    canonical(&file("task")),
                    "{name}: task {group}-{}",
                    task.number
                );
                results.push(file("result"));
            }
            let next = case.join(format!("task-{group}-{}.xml", results.len() + 1));
            assert!(!next.exists(), "{name}: {} was not made", next.display());
            document
                .put_results(group, results.iter().map(Vec::as_slice))
                .unwrap();
        }
        let response = fs::read(case.join("response.xml")).unwrap();
        assert_eq!(
            canonical(&document.response().unwrap()),
            canonical(&response),
            "{name}"
        );
    }
}

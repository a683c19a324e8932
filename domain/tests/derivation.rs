//! The derivation of a request: it asks for bytes, and derives steps, tasks and failures.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::num::NonZeroU32;

use domain::FailureCode;
use domain::derivation::{Derivation, Halt, Lack, first_group, outline};
use domain::document::{Document, Effort, Limits};
use domain::request::{Failure, GroupIndex, Payload, Resource, Steps, Then};

fn derivation(xml: &str) -> Derivation {
    Derivation::accept(xml.as_bytes()).unwrap()
}

/// A result with this element in its valuation.
fn result(name: &str) -> String {
    format!("<vnml><project><group><valuation><{name}/></valuation></group></project></vnml>")
}

fn group(name: &str, tasks: u32) -> Then<Vec<u8>> {
    Then::Group {
        name: Some(name.into()),
        tasks: NonZeroU32::new(tasks).unwrap(),
    }
}

fn steps(from: u32, empty: &[&str], then: Then<Vec<u8>>) -> Steps<Vec<u8>> {
    let empty = empty.iter().map(|name| Some((*name).to_owned())).collect();
    Steps {
        from: GroupIndex::new(from),
        empty,
        then,
    }
}

fn response(xml: &str) -> Then<Vec<u8>> {
    Then::Response(xml.as_bytes().to_vec())
}

fn failed(halt: Halt) -> Failure {
    match halt {
        Halt::Fails(failure) => *failure,
        halt => panic!("{halt:?}"),
    }
}

const TWO: &str = "<vnml><project><group name=\"a\"><valuation/></group><group name=\"b\"/>\
                   <group name=\"c\"><valuation/><valuation/></group></project></vnml>";

#[test]
fn groups_without_tasks_are_passed_on_the_way_to_the_next_step() {
    let mut derived = derivation(TWO);
    let first = derived.steps(GroupIndex::FIRST, Effort::Short).unwrap();
    assert_eq!(first, steps(0, &[], group("a", 1)));
    assert_eq!(derived.end_group(&[result("x")]), Ok(None));
    let second = derived.steps(GroupIndex::new(1), Effort::Short).unwrap();
    assert_eq!(second, steps(1, &["b"], group("c", 2)));
}

#[test]
fn the_last_group_ends_with_the_response() {
    let mut derived = derivation("<vnml><project><group><valuation/></group></project></vnml>");
    assert!(derived.is_in_last_group());
    let ended = derived.end_group(&[result("x")]).unwrap();
    assert_eq!(ended, Some(steps(1, &[], response(&result("x")))));
}

#[test]
fn a_document_of_empty_groups_only_is_its_own_response() {
    let xml = "<vnml><project><group name=\"a\"/><group name=\"b\"/></project></vnml>";
    let derived = derivation(xml)
        .steps(GroupIndex::FIRST, Effort::Short)
        .unwrap();
    assert_eq!(derived, steps(0, &["a", "b"], response(xml)));
}

#[test]
fn a_derivation_asks_for_recorded_bytes_in_the_order_of_the_log() {
    let mut derived = derivation(TWO);
    let resource = Resource {
        uri: "s3://m/curve".into(),
        sha256: None,
        content: Payload::from("<market/>"),
    };
    let resources = [resource];
    let completed = [vec![Payload::from(result("x").as_str())], Vec::new()];
    let lack = derived.lacks(&resources, &completed);
    assert_eq!(lack, Some(Lack::Resource(&resources[0])));
    derived.capture("s3://m/curve", b"<market/>").unwrap();
    let lack = derived.lacks(&resources, &completed);
    assert_eq!(lack, Some(Lack::Results(&completed[0])));
    derived.put_results(&[result("x")]).unwrap();
    assert_eq!(derived.lacks(&resources, &completed[..1]), None);
    assert_eq!(
        derived.lacks(&resources, &completed),
        Some(Lack::Results(&[]))
    );
}

#[test]
fn resources_are_captured_before_a_group_starts_and_the_derivation_resumes() {
    let mut derived = derivation(
        "<vnml><project><group name=\"a\"/><group name=\"b\"><valuation href=\"s3://m/v\"/></group>\
         </project></vnml>",
    );
    let halt = derived.steps(GroupIndex::FIRST, Effort::Whole).unwrap_err();
    assert_eq!(halt, Halt::Capture(vec!["s3://m/v".into()]));
    derived
        .capture("s3://m/v", b"<valuation><bond/></valuation>")
        .unwrap();
    let steps_now = derived.steps(GroupIndex::FIRST, Effort::Whole).unwrap();
    assert_eq!(steps_now, steps(0, &["a"], group("b", 1)));
    let tasks = derived
        .all_tasks(GroupIndex::new(1), Effort::Whole)
        .unwrap();
    assert!(String::from_utf8_lossy(&tasks[0].xml).contains("<bond/>"));
}

#[test]
fn references_that_refer_on_more_than_64_times_fail_the_request() {
    let mut derived =
        derivation("<vnml><project><group><valuation href=\"s3://m/0\"/></group></project></vnml>");
    for round in 0..64 {
        let halt = derived.steps(GroupIndex::FIRST, Effort::Whole).unwrap_err();
        assert_eq!(halt, Halt::Capture(vec![format!("s3://m/{round}")]));
        let name = if round == 0 {
            "valuation".to_owned()
        } else {
            format!("leg{round}")
        };
        let after = round + 1;
        let next = format!("<{name}><leg{after} href=\"s3://m/{after}\"/></{name}>");
        derived
            .capture(&format!("s3://m/{round}"), next.as_bytes())
            .unwrap();
    }
    let failure = failed(derived.steps(GroupIndex::FIRST, Effort::Whole).unwrap_err());
    assert_eq!(failure.code, FailureCode::HydrationCycle.as_str());
}

#[test]
fn unusable_bytes_fail_the_request_with_the_code_of_their_kind() {
    let refused = Derivation::accept(b"<vnml/>").unwrap_err();
    assert_eq!(refused.code, FailureCode::DocumentUnreadable.as_str());
    let mut derived = derivation(TWO);
    let failure = derived.put_results(&["<vnml/>"]).unwrap_err();
    assert_eq!(failure.code, FailureCode::ResultUnreadable.as_str());
    let mut derived =
        derivation("<vnml><project><group><valuation select=\"//none\"/></group></project></vnml>");
    let failure = failed(
        derived
            .all_tasks(GroupIndex::FIRST, Effort::Whole)
            .unwrap_err(),
    );
    assert_eq!(failure.code, FailureCode::HydrationNoMatch.as_str());
    assert!(!failure.redrive_may_help);
}

#[test]
fn a_large_response_takes_more_effort_than_an_event_loop_allows() {
    let text = "x".repeat(17 * 1024);
    let xml = format!("<vnml><project><note>{text}</note><group/></project></vnml>");
    let mut derived = derivation(&xml);
    assert_eq!(
        derived.steps(GroupIndex::FIRST, Effort::Short),
        Err(Halt::TakesLonger)
    );
    let then = derived
        .steps(GroupIndex::FIRST, Effort::Medium)
        .unwrap()
        .then;
    assert!(matches!(then, Then::Response(bytes) if bytes.len() > 17 * 1024));
}

#[test]
fn the_outline_of_a_document_has_its_groups_and_the_tasks_that_can_start_at_once() {
    let document = Document::accept(TWO.as_bytes(), &Limits::accepted()).unwrap();
    let groups = outline(&document);
    let told: Vec<_> = groups
        .iter()
        .map(|g| (g.name.as_deref(), g.valuations))
        .collect();
    assert_eq!(told, [(Some("a"), 1), (Some("b"), 0), (Some("c"), 2)]);
    assert_eq!(first_group(&document, Effort::Short), NonZeroU32::new(1));
}

#[test]
fn a_derivation_passes_a_limited_number_of_empty_groups_unless_the_effort_is_whole() {
    let xml = format!("<vnml><project>{}</project></vnml>", "<group/>".repeat(600));
    let mut derived = derivation(&xml);
    assert_eq!(
        derived.steps(GroupIndex::FIRST, Effort::Medium),
        Err(Halt::TakesLonger)
    );
    assert_eq!(
        derived.steps(GroupIndex::FIRST, Effort::Medium),
        Err(Halt::TakesLonger)
    );
    let steps = derived.steps(GroupIndex::FIRST, Effort::Medium).unwrap();
    assert_eq!(steps.empty.len(), 600);
    let steps = derivation(&xml)
        .steps(GroupIndex::FIRST, Effort::Whole)
        .unwrap();
    assert_eq!(steps.empty.len(), 600);
}

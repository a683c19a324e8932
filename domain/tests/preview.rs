//! The preview of a document, for a dry run.

#![allow(clippy::unwrap_used)] // A broken case must stop the test.

use domain::document::{Document, Effort, Limits};
use serde_json::json;

fn preview(content: &str) -> serde_json::Value {
    let document = format!("<vnml><project>{content}</project></vnml>");
    let document = Document::accept(document.as_bytes(), &Limits::default()).unwrap();
    serde_json::to_value(document.preview(Effort::Whole).unwrap()).unwrap()
}

#[test]
fn a_document_is_shown_with_its_groups_tasks_and_references() {
    let shown = preview(
        "<m href='s3://b/k'/><n href=' s3://b/k '/><p><i/><i/></p>
        <group name='a'><valuation use='vn:link(/vnml/project/p, i)'/><valuation/></group>
        <group><valuation use='vn:link(/vnml/project/group[1], valuation)'/></group>
        <group><valuation><x select='/vnml/project/group/valuation/price'/></valuation></group>
        <group/>",
    );
    let expected = json!({
        "groups": [
            { "name": "a", "valuations": 2, "outlook": "ready", "tasks": 3 },
            { "valuations": 1, "outlook": "ready", "tasks": 3 },
            { "valuations": 1, "outlook": "needs-results" },
            { "valuations": 0, "outlook": "needs-results" },
        ],
        "references": ["s3://b/k"],
    });
    assert_eq!(shown, expected);
}

#[test]
fn a_preview_lists_errors_and_resources_to_fetch() {
    let shown = preview("<group><valuation><m href='s3://b/k'/></valuation></group>");
    assert_eq!(shown["groups"][0]["outlook"], "needs-resources");
    let shown = preview("<group><valuation><m select='/none'/></valuation></group>");
    assert_eq!(shown["groups"][0]["outlook"], "fails");
    assert_eq!(shown["groups"][0]["code"], "hydration-no-match");
}

#[test]
fn an_alias_that_comes_out_empty_is_warned_of_once() {
    let shown = preview(
        "<market name='a'><rate>1</rate></market>
        <market name='b' select='/vnml/project/market[1]'/>
        <market name='c' select='/vnml/project/market[1]'><rate>2</rate></market>
        <group><valuation><market select=' /vnml/project/market[2] '/></valuation>
        <valuation><market select='/vnml/project/market[2]'/></valuation>
        <valuation><market select='/vnml/project/market[3]'/></valuation>
        <valuation><market select='/vnml/project/market[1]'/></valuation>
        <valuation xmlns:f='f'><f:market select='/vnml/project/market[2]/none'/></valuation></group>",
    );
    let warning = "select=\"/vnml/project/market[2]\" gives a <market> whose own \
                   select=\"/vnml/project/market[1]\" is not followed: it comes out empty";
    assert_eq!(shown["warnings"], json!([warning]));
    assert_eq!(preview("<group><valuation/></group>").get("warnings"), None);
}

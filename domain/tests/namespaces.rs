//! Prefixed names in text and attribute values stay bound wherever a part of a document goes, and
//! foreign vocabularies come back unchanged.

#![allow(clippy::unwrap_used, clippy::panic, clippy::format_collect)] // A failure must stop the test.

use domain::document::{CapturedResources, Document, Effort, Limits, canonicalize};
use domain::request::TaskNumber;

fn canonical(xml: &str) -> String {
    canonicalize(xml.as_bytes(), &Limits::default()).unwrap_or_else(|e| panic!("{e}: {xml}"))
}

#[track_caller]
fn same(given: &str, expected: &str) {
    assert_eq!(canonical(given), canonical(expected), "{given}");
}

fn task(document: &Document) -> String {
    let resources = CapturedResources::default();
    let made = document.tasks(
        &resources,
        0,
        [TaskNumber::FIRST],
        usize::MAX,
        Effort::Whole,
    );
    String::from_utf8(made.unwrap().remove(0).xml).unwrap()
}

fn accept(xml: &str) -> Document {
    Document::accept(xml.as_bytes(), &Limits::default()).unwrap_or_else(|e| panic!("{e}: {xml}"))
}

#[test]
fn a_selected_element_brings_the_namespaces_in_scope_around_it() {
    let document = accept(
        r#"<vnml><project><defs xmlns:xs="urn:xs" xmlns:xsi="urn:xsi"><v xsi:type="xs:decimal">1</v></defs>
        <group><valuation><v select="/vnml/project/defs/v"/></valuation></group></project></vnml>"#,
    );
    let task = task(&document);
    assert!(
        task.contains(r#"<v xmlns:xs="urn:xs" xmlns:xsi="urn:xsi""#)
            || task.contains(r#"xmlns:xs="urn:xs""#),
        "{task}"
    );
    let read = accept(&task);
    assert!(read.canonical().contains("xs:decimal"));
    same(
        &read
            .hydrate(&CapturedResources::default(), "//valuation/v")
            .unwrap(),
        r#"<hydrated><v xmlns:xsi="urn:xsi" xmlns:xs="urn:xs" xsi:type="xs:decimal">1</v></hydrated>"#,
    );
}

#[test]
fn a_result_brings_the_namespaces_in_scope_around_it_into_response_and_later_groups() {
    let request = r#"<vnml><project><group><valuation/></group>
        <group><valuation select="/vnml/project/group[1]/valuation/price"/></group></project></vnml>"#;
    let result = r#"<vnml xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><project><group><valuation><price xsi:type="xsd:decimal">1</price></valuation></group></project></vnml>"#;
    let mut document = accept(request);
    let with = document.response_with(0, &[result.as_bytes()]).unwrap();
    document.put_results(0, [result.as_bytes()]).unwrap();
    let put = document.response().unwrap();
    for response in [with, put.clone()] {
        let text = String::from_utf8(response).unwrap();
        same(
            &text,
            r#"<vnml><project><group><valuation xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><price xsi:type="xsd:decimal">1</price></valuation></group>
            <group><valuation select="/vnml/project/group[1]/valuation/price"/></group></project></vnml>"#,
        );
    }
    let resources = CapturedResources::default();
    let made = document.tasks(
        &resources,
        1,
        [TaskNumber::FIRST],
        usize::MAX,
        Effort::Whole,
    );
    let task = String::from_utf8(made.unwrap().remove(0).xml).unwrap();
    assert!(task.contains("xmlns:xsd="), "{task}");
}

#[test]
fn a_prefix_that_is_already_bound_is_not_declared_again() {
    let request = r#"<vnml xmlns:q="urn:q"><project><m q:a="q:v"/><group><valuation><m select="/vnml/project/m"/></valuation></group></project></vnml>"#;
    let task = task(&accept(request));
    assert_eq!(task.matches("xmlns:q").count(), 1, "{task}");
    let document = accept(request);
    let response = document.response_with(0, &[task.as_bytes()]).unwrap();
    let text = String::from_utf8(response).unwrap();
    assert_eq!(text.matches("xmlns:q").count(), 1, "{text}");
}

#[test]
fn another_documents_element_brings_the_namespaces_in_scope_around_it() {
    let document = accept(r#"<vnml><project><m href="s3://b/m"/></project></vnml>"#);
    let mut resources = CapturedResources::default();
    let remote = br#"<vnml xmlns:t="urn:t"><project><m kind="t:flat"><p kind="t:node"/></m></project></vnml>"#;
    resources.insert("s3://b/m", remote).unwrap();
    same(
        &document.hydrate(&resources, "/").unwrap(),
        r#"<vnml><project><m xmlns:t="urn:t" kind="t:flat"><p kind="t:node"/></m></project></vnml>"#,
    );
}

#[test]
fn an_fpml_like_trade_goes_through_a_task_unchanged() {
    let trade = r##"<trade xmlns="http://www.fpml.org/FpML-5/confirmation" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" id="t1">
        <tradeHeader><partyTradeIdentifier><partyReference href="party1"/><tradeId tradeIdScheme="urn:s">A</tradeId></partyTradeIdentifier></tradeHeader>
        <swap><swapStream id="fixed"><payerPartyReference href="party1"/><calculationPeriodDates><calculationPeriodDatesReference href="#d"/></calculationPeriodDates></swapStream></swap>
        <party id="party1"><partyId>P</partyId></party></trade>"##;
    let request =
        format!("<vnml><project><group><valuation>{trade}</valuation></group></project></vnml>");
    let document = accept(&request);
    let task = task(&document);
    let response = document.response_with(0, &[task.as_bytes()]).unwrap();
    let text = String::from_utf8(response).unwrap();
    same(&text.replace(r#"<vndb externalId="1"/>"#, ""), &request);
}

#[test]
fn six_vocabularies_and_two_hundred_prefixes_come_back() {
    let declared: String = (0..200)
        .map(|n| format!(r#" xmlns:p{n}="urn:{n}""#))
        .collect();
    let used: String = (0..200)
        .map(|n| format!(r#"<p{n}:e p{n}:a="p{n}:v">p{n}:t</p{n}:e>"#))
        .collect();
    let vocabularies = r#"<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"><use xlink:href="a"/></svg>
        <xsl:template xmlns:xsl="http://www.w3.org/1999/XSL/Transform" match="a"><xsl:value-of select="/b"/></xsl:template>
        <h:p xmlns:h="http://www.w3.org/1999/xhtml">t</h:p><m:math xmlns:m="http://www.w3.org/1998/Math/MathML"/>
        <soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"/>"#;
    let request = format!(
        "<vnml{declared}><project><group><valuation>{used}{vocabularies}</valuation></group></project></vnml>"
    );
    let document = accept(&request);
    let task = task(&document);
    let response = document.response_with(0, &[task.as_bytes()]).unwrap();
    let text = String::from_utf8(response).unwrap();
    same(&text.replace(r#"<vndb externalId="1"/>"#, ""), &request);
}

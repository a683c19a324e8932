//! Properties of every document, tested on random documents.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::format_push_string,
    clippy::format_collect
)] // A broken case must stop the test.

use domain::document::{CapturedResources, Document, Effort, Limits, TaskDocument, canonicalize};
use domain::request::TaskNumber;
use proptest::prelude::*;

fn canonical(xml: &[u8]) -> String {
    canonicalize(xml, &Limits::default())
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(xml)))
}

fn accept(xml: &str) -> Document {
    Document::accept(xml.as_bytes(), &Limits::default()).unwrap_or_else(|e| panic!("{e}: {xml}"))
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "rate", "q:a", "r:b", "é", "market", "group"])
}

/// Text in every written form: with references, CDATA, and characters of all scripts.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just(" \n\t".to_owned()),
        Just("<![CDATA[<&]]>".to_owned()),
        Just("&lt;&#x1D11E;&#13;&amp;".to_owned()),
        "[a-z0-9 é€𝄞\u{A0}]{0,8}",
    ]
}

fn misc() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "", "<!-- c -->", "<?pi some data?>", "<?pi?>"])
        .prop_map(str::to_owned)
}

fn attributes() -> impl Strategy<Value = String> {
    let attribute = prop::sample::select(vec![
        "",
        "",
        " k='1'",
        " name='n'",
        " id='7'",
        " q:k='é'",
        " xml:lang='en'",
        " k='&#10;&quot;&lt;'",
        " xmlns='urn:d'",
        " xmlns:q='urn:other'",
        " xmlns:r='urn:q'",
    ]);
    attribute.prop_map(str::to_owned)
}

fn element() -> impl Strategy<Value = String> {
    let leaf = (name(), attributes(), text())
        .prop_map(|(name, attributes, text)| format!("<{name}{attributes}>{text}</{name}>"));
    leaf.prop_recursive(3, 20, 4, |inner| {
        (
            name(),
            attributes(),
            prop::collection::vec((text(), inner, misc()), 0..4),
        )
            .prop_map(|(name, attributes, children)| {
                let children: String = children
                    .into_iter()
                    .map(|(text, child, misc)| text + &child + &misc)
                    .collect();
                format!("<{name}{attributes}>{children}</{name}>")
            })
    })
}

fn elements() -> impl Strategy<Value = String> {
    prop::collection::vec((misc(), element()), 0..4).prop_map(|all| {
        all.into_iter()
            .map(|(misc, element)| misc + &element)
            .collect()
    })
}

/// A request without references: its definitions, the rest of `project`, and its groups, each
/// with other children before its valuations.
#[derive(Clone, Debug)]
struct Request {
    definitions: String,
    rest: String,
    groups: Vec<(String, Vec<String>)>,
}

impl Request {
    /// Writes the request with or without its definitions. `vndb` gives the attribute for a task's
    /// number.
    fn written(&self, definitions: bool, vndb: impl Fn(usize) -> String) -> String {
        let definitions = if definitions {
            self.definitions.as_str()
        } else {
            ""
        };
        let groups = self.groups.iter().map(|(others, valuations)| {
            let valuations = valuations.iter().enumerate().map(|(index, content)| {
                format!(
                    "<valuation name='v'>{content}{}</valuation>",
                    vndb(index + 1)
                )
            });
            format!(
                "<group name='g'>{others}{}</group>",
                valuations.collect::<String>()
            )
        });
        let groups: String = groups.collect();
        let rest = &self.rest;
        format!(
            "<?xml version='1.0'?><vnml xmlns:q='urn:q' xmlns:r='urn:r'><project p='1'>{definitions}<rest>{rest}</rest>{groups}</project></vnml>"
        )
    }
}

fn request() -> impl Strategy<Value = Request> {
    let definition = (
        prop::sample::select(vec!["market", "model", "calculator", "portfolio"]),
        elements(),
    )
        .prop_map(|(name, content)| format!("<{name}>{content}</{name}>"));
    let group = (elements(), prop::collection::vec(elements(), 0..4))
        .prop_map(|(others, valuations)| (format!("<other>{others}</other>"), valuations));
    (
        prop::collection::vec(definition, 0..3),
        elements(),
        prop::collection::vec(group, 0..3),
    )
        .prop_map(|(definitions, rest, groups)| Request {
            definitions: definitions.concat(),
            rest,
            groups,
        })
}

fn tasks(
    document: &Document,
    group: usize,
    numbers: impl IntoIterator<Item = TaskNumber>,
) -> Vec<TaskDocument> {
    let resources = CapturedResources::default();
    let tasks = document.tasks(&resources, group, numbers, usize::MAX, Effort::Whole);
    tasks.unwrap()
}

fn all_tasks(document: &Document, group: usize) -> Vec<TaskDocument> {
    let count = document
        .count_tasks(&CapturedResources::default(), group, Effort::Whole)
        .unwrap();
    tasks(
        document,
        group,
        TaskNumber::up_to(u32::try_from(count).unwrap()),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn unchanged_results_give_the_document_back_without_its_definitions_and_with_vndb(request in request()) {
        let mut document = accept(&request.written(true, |_| String::new()));
        for group in 0..document.groups() {
            let results = all_tasks(&document, group);
            let results: Vec<&[u8]> = results.iter().map(|task| task.xml.as_slice()).collect();
            let without_copies = document.response_with(group, &results).unwrap();
            document.put_results(group, results).unwrap();
            prop_assert_eq!(without_copies, document.response().unwrap());
        }
        let expected = request.written(false, |number| format!("<vndb externalId='{number}'/>"));
        prop_assert_eq!(canonical(&document.response().unwrap()), canonical(expected.as_bytes()));
    }

    #[test]
    fn the_order_in_which_tasks_are_made_never_matters(request in request()) {
        let document = accept(&request.written(true, |_| String::new()));
        for group in 0..document.groups() {
            let forth = all_tasks(&document, group);
            let numbers: Vec<TaskNumber> = forth.iter().rev().map(|task| task.number).collect();
            let mut back = tasks(&accept(&request.written(true, |_| String::new())), group, numbers);
            back.reverse();
            prop_assert_eq!(&forth, &back);
        }
    }

    #[test]
    fn a_written_document_is_read_back_unchanged(request in request()) {
        let written = request.written(true, |_| String::new());
        let hydrated = accept(&written).hydrate(&CapturedResources::default(), "/").unwrap();
        prop_assert_eq!(canonical(hydrated.as_bytes()), canonical(written.as_bytes()));
        prop_assert_eq!(accept(&hydrated).canonical(), accept(&written).canonical());
        let again = canonical(accept(&written).canonical().as_bytes());
        prop_assert_eq!(again, accept(&written).canonical());
    }

    #[test]
    fn hydrating_is_deterministic_and_gives_a_document(
        definitions in prop::collection::vec(element(), 1..4),
        local in element(),
        select in prop::sample::select(vec![
            "/vnml/project/*[1]", "/vnml/project/*[last()]", "//*[@name][1]", "//rate", "/vnml/project/*/*[1]", "//market",
        ]),
    ) {
        let definitions = definitions.concat();
        let local = local.replacen(['>'], &format!(" select='{select}' s='${{select(/vnml/@x)}}'>"), 1);
        let xml = format!("<vnml x='é' xmlns:q='urn:q' xmlns:r='urn:r'><project>{definitions}<g><v>{local}</v></g></project></vnml>");
        let run = || accept(&xml).hydrate(&CapturedResources::default(), "/");
        let first = run();
        if let Ok(hydrated) = &first {
            canonical(hydrated.as_bytes());
        }
        prop_assert_eq!(first, run());
    }
}

/// The results of a group arrive in any order, and are placed by their number.
#[test]
fn results_are_put_in_task_order_before_nothing_and_after_the_other_children() {
    let mut document =
        accept("<vnml><project><group><valuation/><note/><valuation/></group></project></vnml>");
    let result = |n: u32| {
        format!("<vnml><project><group><valuation n='{n}'/></group></project></vnml>").into_bytes()
    };
    let results = [result(1), result(2)];
    let without_copies = document.response_with(0, &results).unwrap();
    document
        .put_results(0, results.iter().map(Vec::as_slice))
        .unwrap();
    assert_eq!(without_copies, document.response().unwrap());
    let expected = "<vnml><project><group><note/><valuation n='1'/><valuation n='2'/></group></project></vnml>";
    assert_eq!(
        canonical(&document.response().unwrap()),
        canonical(expected.as_bytes())
    );
}

#[test]
fn a_group_without_results_is_written_as_it_is_with_none_put_in() {
    for group in [
        "<group name='g'/>",
        "<group><valuation/></group>",
        "<group> </group>",
        "<group><!-- c --><valuation/></group>",
        "<n:group xmlns:n='urn:n'><valuation/></n:group>",
    ] {
        let mut document = accept(&format!("<vnml><project>{group}</project></vnml>"));
        let without_copies = document.response_with(0, &[b""; 0]).unwrap();
        document.put_results(0, []).unwrap();
        assert_eq!(without_copies, document.response().unwrap(), "{group}");
    }
}

#[test]
fn results_bring_their_namespaces_into_the_response() {
    let result = "<vnml xmlns:p='urn:p'><project><group><valuation p:a='1' q:b='2' xmlns:q='urn:q'>\
                  <p:x/><y xmlns='urn:d'/></valuation></group></project></vnml>";
    let mut document =
        accept("<vnml xmlns:p='urn:other'><project><group><valuation/></group></project></vnml>");
    let without_copies = document.response_with(0, &[result]).unwrap();
    document.put_results(0, [result.as_bytes()]).unwrap();
    assert_eq!(without_copies, document.response().unwrap());
    let response = String::from_utf8(without_copies).unwrap();
    assert!(response.contains("xmlns:p=\"urn:p\""), "{response}");
}

#[test]
fn a_wrapped_result_is_taken_and_one_without_a_valuation_is_not() {
    let mut document = accept("<vnml><project><group><valuation/></group></project></vnml>");
    let wrapped = b"<any><job><task><results><vnml><project><group><valuation n='1'/><valuation n='2'/></group></project></vnml></results></task></job></any>";
    document.put_results(0, [wrapped.as_slice()]).unwrap();
    let expected = "<vnml><project><group><valuation n='1'/></group></project></vnml>";
    assert_eq!(
        canonical(&document.response().unwrap()),
        canonical(expected.as_bytes())
    );
    let none = document.put_results(0, [b"<vnml><project><group/></project></vnml>".as_slice()]);
    assert!(none.is_err());
}

#[test]
fn a_later_group_sees_earlier_results_by_every_route() {
    let request = "<vnml><project><group name='a'><valuation name='v'/></group><group name='b'>
        <valuation use='vn:link(/vnml/project/group[1], valuation)'><r select='./price'/></valuation>
        <valuation><s select='/vnml/project/group[1]/valuation[1]/price'/></valuation>
        <valuation k='${select(/vnml/project/group[1]/valuation/price/text())}'/>
        </group></project></vnml>";
    let mut document = accept(request);
    let result = b"<vnml><project><group><valuation name='v'><price>1.5</price></valuation></group></project></vnml>";
    document.put_results(0, [result.as_slice()]).unwrap();
    let made: Vec<String> = all_tasks(&document, 1)
        .iter()
        .map(|task| canonical(&task.xml))
        .collect();
    let expected = [
        "<valuation><price>1.5</price><vndb externalId='1'/></valuation>",
        "<valuation><price>1.5</price><vndb externalId='2'/></valuation>",
        "<valuation k='1.5'><vndb externalId='3'/></valuation>",
    ];
    let expected = expected.map(|valuation| {
        canonical(
            format!("<vnml><project><group name='b'>{valuation}</group></project></vnml>")
                .as_bytes(),
        )
    });
    assert_eq!(made, expected);
}

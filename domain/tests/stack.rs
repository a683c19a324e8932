//! Recursion over a document needs only a small stack: the deepest accepted input of each kind runs
//! on 256 KiB.

#![allow(clippy::unwrap_used, clippy::panic, clippy::format_push_string)] // A failure must stop the test.

use domain::document::{CapturedResources, Document, Effort, HydrationError, Limits, check_result};
use domain::request::TaskNumber;

const STACK_BYTES: usize = 256 * 1024;

fn on_a_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    thread.spawn(work).unwrap().join().unwrap()
}

/// Accepts, plans, splits, previews and answers a document of one group.
fn all_of(xml: String) -> Result<usize, HydrationError> {
    on_a_small_stack(move || {
        let document = Document::accept(xml.as_bytes(), &Limits::default())
            .unwrap_or_else(|refusal| panic!("{refusal}"));
        let resources = CapturedResources::default();
        assert!(!document.canonical().is_empty());
        let count = document.count_tasks(&resources, 0, Effort::Whole)?;
        let numbers = TaskNumber::up_to(u32::try_from(count).unwrap());
        let tasks = document.tasks(&resources, 0, numbers, usize::MAX, Effort::Whole)?;
        let results: Vec<&[u8]> = tasks.iter().map(|task| task.xml.as_slice()).collect();
        for result in &results {
            check_result(result, &Limits::default()).unwrap_or_else(|error| panic!("{error}"));
        }
        let mut document = document;
        let with = document.response_with(0, &results).unwrap();
        document.put_results(0, results.iter().copied()).unwrap();
        assert_eq!(document.response().unwrap(), with);
        assert!(!document.response_so_far(1).is_empty());
        document.preview(Effort::Whole).unwrap();
        Ok(with.len())
    })
}

fn with_expression(expression: &str) -> String {
    let expression = expression
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('\'', "&apos;");
    format!(
        "<vnml><project><x/><group><valuation><p select='{expression}'/></valuation></group>\
         </project></vnml>"
    )
}

/// The deepest nesting of this kind that an expression may have.
fn deepest(nested: impl Fn(usize) -> String) -> String {
    let accepted = |levels: &usize| {
        let xml = with_expression(&nested(*levels));
        let document = Document::accept(xml.as_bytes(), &Limits::default()).unwrap();
        let resources = CapturedResources::default();
        let made = document.tasks(
            &resources,
            0,
            [TaskNumber::FIRST],
            usize::MAX,
            Effort::Whole,
        );
        !matches!(made, Err(error) if error.code().as_str() == "hydration-syntax")
    };
    let most = (1..200).take_while(accepted).last().unwrap();
    nested(most)
}

#[test]
fn the_deepest_expressions_are_evaluated_on_a_small_stack() {
    let within = |open: &str, close: &str, levels: usize| {
        format!(
            "/vnml/project/x[{}1{}]",
            open.repeat(levels),
            close.repeat(levels)
        )
    };
    let shapes: [(&str, &str); 7] = [
        ("(", ")"),
        ("boolean(", ")"),
        ("//x[", "]"),
        ("(//x|//y[1])[1][", "]"),
        ("-(1 + 2 * -(", ") < 3 = 4 and 5 or 6)"),
        ("concat(//x[string(", ")], '')"),
        ("count((//*[not(", ")])[1]/..) + 1 > 0 or 1 or 2"),
    ];
    for (open, close) in shapes {
        let xml = with_expression(&deepest(|levels| within(open, close, levels)));
        match all_of(xml) {
            Ok(_) => {}
            Err(error) => assert_ne!(error.code().as_str(), "hydration-syntax", "{open}: {error}"),
        }
    }
}

#[test]
fn the_longest_chains_of_operators_are_no_deeper_than_one() {
    for operator in [
        "+1", "*1", " or 1", " and 1", "=1", "<1", "|x", "[1]", "/..",
    ] {
        let chain = format!(
            "/vnml/project/x[{}]",
            "x".to_owned() + &operator.repeat(2_000)
        );
        match all_of(with_expression(&chain)) {
            Ok(_) => {}
            Err(error) => assert_ne!(
                error.code().as_str(),
                "hydration-syntax",
                "{operator}: {error}"
            ),
        }
    }
}

fn nested(name: &str, levels: usize, inner: &str) -> String {
    format!(
        "{}{inner}{}",
        format!("<{name}>").repeat(levels),
        format!("</{name}>").repeat(levels)
    )
}

#[test]
fn the_deepest_document_is_processed_on_a_small_stack() {
    // vnml, project, group and valuation are four of the levels.
    let deep = nested("a", Limits::default().max_depth - 4, "t");
    let notes = nested("n", Limits::default().max_depth - 2, "t");
    let xml = format!(
        "<vnml><project>{notes}<group><valuation>{deep}</valuation></group></project></vnml>"
    );
    assert!(all_of(xml).is_ok());
}

#[test]
fn the_deepest_selection_is_hydrated_on_a_small_stack() {
    let levels = Limits::default().max_depth - 6;
    let model = nested("a", levels, "<b select='/vnml/project/end'/>");
    let local = nested("a", levels, "<b k='1'/>");
    let xml = format!(
        "<vnml><project><end/><model>{model}</model><group><valuation>\
         <model select='/vnml/project/model'>{local}</model></valuation></group></project></vnml>"
    );
    assert!(all_of(xml).is_ok());
}

#[test]
fn the_longest_chain_of_selections_is_hydrated_on_a_small_stack() {
    let chain = Limits::default().max_chain;
    let mut definitions = String::new();
    for link in 1..chain {
        let next = link + 1;
        definitions.push_str(&format!(
            "<m name='{link}'><s><s select=\"/vnml/project/m[@name='{next}']\"/></s></m>"
        ));
    }
    definitions.push_str(&format!("<m name='{chain}'/>"));
    let xml = format!(
        "<vnml><project>{definitions}<group><valuation>\
         <m select=\"/vnml/project/m[@name='1']\"/></valuation></group></project></vnml>"
    );
    // Each link is two levels deeper, so either the limit on levels or the limit on the chain ends
    // it.
    match all_of(xml) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.code().as_str(), "hydration-too-costly", "{error}"),
    }
}

#[test]
fn the_deepest_documents_that_an_href_merges_are_merged_on_a_small_stack() {
    let deep = nested("a", Limits::default().max_depth - 4, "<b k='1'/>");
    let remote = nested("a", Limits::default().max_depth - 4, "<b l='1'/>");
    let xml = format!("<vnml><project><m href='s3://b/m'>{deep}</m></project></vnml>");
    let merged = on_a_small_stack(move || {
        let document = Document::accept(xml.as_bytes(), &Limits::default()).unwrap();
        let mut resources = CapturedResources::default();
        let remote = format!("<vnml><m>{remote}</m></vnml>");
        resources.insert("s3://b/m", remote.as_bytes()).unwrap();
        document.hydrate(&resources, "/").unwrap()
    });
    assert!(merged.contains("<b l=\"1\" k=\"1\""), "{merged}");
}

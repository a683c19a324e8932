//! Documents that cost much for few bytes. Each kind ends at a limit of its document's budget, or
//! stays within it, in less than the processor time that a refusal may take.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::format_push_string,
    clippy::format_collect
)] // A broken case must stop the test.

mod processor;

use domain::request::TaskNumber;
use std::time::Duration;

use domain::document::{CapturedResources, Document, Effort, HydrationError, Limits};

/// How much processor time a refusal may take: one second, and more in a test build, which is
/// optimized less.
const SOON: Duration = Duration::from_secs(if cfg!(debug_assertions) { 5 } else { 1 });

/// Makes content of a size.
type Make<'m> = &'m dyn Fn(usize) -> String;

fn document(definitions: &str, valuations: &str) -> String {
    format!("<vnml><project>{definitions}<group>{valuations}</group></project></vnml>")
}

fn select(definitions: &str, expression: &str) -> String {
    let expression = expression.replace('<', "&lt;").replace('"', "&quot;");
    document(
        definitions,
        &format!("<valuation><p select=\"{expression}\"/></valuation>"),
    )
}

fn attributes(prefix: &str, count: usize) -> String {
    (0..count).map(|n| format!(" {prefix}{n}='v'")).collect()
}

/// Plans the first group and makes all of its tasks. Returns their bytes.
fn tasks(xml: &str) -> Result<usize, HydrationError> {
    let document = Document::accept(xml.as_bytes(), &Limits::default())
        .unwrap_or_else(|refusal| panic!("{refusal}"));
    let resources = CapturedResources::default();
    let all = || -> Result<usize, HydrationError> {
        let count = u32::try_from(document.count_tasks(&resources, 0, Effort::Whole)?).unwrap();
        let (mut bytes, mut made) = (0, 0);
        while made < count {
            let some = document.tasks(
                &resources,
                0,
                (made + 1..=count).map(TaskNumber::new),
                4 << 20,
                Effort::Whole,
            )?;
            bytes += some.iter().map(|task| task.xml.len()).sum::<usize>();
            made = some.last().map_or(count, |task| task.number.get());
        }
        Ok(bytes)
    };
    let (made, used) = processor::timed(all);
    let ended = match &made {
        Ok(bytes) => format!("{bytes} bytes"),
        Err(error) => error.to_string(),
    };
    eprintln!("{:>9} bytes {used:>10.2?} {ended}", xml.len());
    assert!(used < SOON, "used {used:?} of the processor: {ended}");
    made
}

/// The name of the limit that ended the work.
#[track_caller]
fn ends_at(xml: &str, limit: &str) {
    let error = tasks(xml).unwrap_err();
    assert_eq!(error.code().as_str(), "hydration-too-costly", "{error}");
    assert!(error.to_string().contains(limit), "{limit}: {error}");
}

#[test]
fn many_expressions_of_many_visits_end_at_the_visits_of_the_document() {
    let definitions = format!("{}<x k='1'/>", "<x/>".repeat(1_000));
    let valuations: String = (0..200)
        .map(|n| format!("<valuation><m select='/vnml/project/x[@k][count(//x[count(//x[.])&gt;{n}])&gt;1]'/></valuation>"))
        .collect();
    ends_at(&document(&definitions, &valuations), "max-visits");
}

#[test]
fn the_children_of_many_parents_end_at_the_visits_of_the_document() {
    let test = vec!["count(//x[.])&gt;=0"; 30].join(" and ");
    let definitions = format!("<m/>{}", "<x/>".repeat(2_000));
    let valuation = format!("<valuation use='vn:link(//x, //m[{test}])'/>");
    ends_at(&document(&definitions, &valuation), "max-visits");
}

#[test]
fn translating_much_by_much_is_linear() {
    let many = 200_000;
    let definitions = format!("<m/><a>{}</a><b>{}</b>", "x".repeat(many), "y".repeat(many));
    let xml = select(
        &definitions,
        "/vnml/project/m[translate(/vnml/project/a,/vnml/project/b,'')!='']",
    );
    assert!(tasks(&xml).is_ok());
}

#[test]
fn reading_a_long_text_for_each_of_many_nodes_ends_at_the_text_of_the_document() {
    let text = format!("<b>{}</b>", "t".repeat(1_000_000));
    let xml = select(
        &format!("{}{}", "<a/>".repeat(1_000), text.repeat(9)),
        "//a[string-length(//b)=1]",
    );
    ends_at(&xml, "max-text-bytes");
}

#[test]
fn joining_a_text_to_itself_ends_at_the_text_of_one_value() {
    let text = format!("<b>{}</b>", "t".repeat(1_000_000));
    let xml = select(
        &text.repeat(9),
        &format!(
            "/vnml/project/b[concat({})='']",
            vec!["//b"; 3_900].join(",")
        ),
    );
    ends_at(&xml, "max-value-bytes");
}

#[test]
fn a_text_in_many_pieces_asked_for_at_every_depth_ends_at_the_text_of_one_value() {
    let text = "<i>tttttttttttttttttttt</i>".repeat(100_000);
    let deep = format!("{}{text}{}", "<d>".repeat(120), "</d>".repeat(120));
    ends_at(&select(&deep, "//d[.='q']"), "max-v");
}

#[test]
fn merging_many_attributes_with_many_is_linear() {
    let definitions = format!("<m{}/>", attributes("a", 5_000));
    let valuation = format!(
        "<valuation><m select='/vnml/project/m'{}/></valuation>",
        attributes("b", 5_000)
    );
    assert!(tasks(&document(&definitions, &valuation.repeat(20))).is_ok());
}

#[test]
fn more_attributes_than_one_element_may_have_are_not_made() {
    let definitions = format!("<m{}/>", attributes("a", 9_900));
    let valuation = format!(
        "<valuation><m select='/vnml/project/m'{}/></valuation>",
        attributes("b", 9_900)
    );
    ends_at(&document(&definitions, &valuation), "max-attributes");
}

#[test]
fn the_same_merge_for_each_of_many_valuations_ends_at_a_limit_of_the_document() {
    let definitions = format!(
        "<m{}/><n><o select='/vnml/project/m'{}/></n>",
        attributes("a", 5_000),
        attributes("b", 4_000)
    );
    let valuations = "<valuation><n select='/vnml/project/n'/></valuation>".repeat(2_000);
    ends_at(&document(&definitions, &valuations), "max-made");
}

#[test]
fn doubling_for_each_of_many_valuations_ends_at_a_limit_of_the_document() {
    let at = |n: usize| format!("/vnml/project/m[@name='{n}']");
    let definitions: String = (0..12)
        .map(|n| {
            let next = at(n + 1);
            format!("<m name='{n}'><a select=\"{next}\"/><b select=\"{next}\"/></m>")
        })
        .collect();
    let valuation = format!("<valuation><m select=\"{}\"/></valuation>", at(0));
    let xml = document(
        &format!("{definitions}<m name='12'/>"),
        &valuation.repeat(500),
    );
    ends_at(&xml, "the document's");
}

#[test]
fn doubling_in_one_valuation_ends_at_the_memory_of_one_element() {
    let at = |n: usize| format!("/vnml/project/m[@name='{n}']");
    let definitions: String = (0..24)
        .map(|n| {
            let next = at(n + 1);
            format!("<m name='{n}'><a select=\"{next}\"/><b select=\"{next}\"/></m>")
        })
        .collect();
    let valuation = format!("<valuation><m select=\"{}\"/></valuation>", at(0));
    ends_at(
        &document(&format!("{definitions}<m name='24'/>"), &valuation),
        "max-made-bytes",
    );
}

#[test]
fn looking_for_a_language_above_many_nodes_counts_the_attributes() {
    let definitions = format!("<m/>{}", "<x/>".repeat(20_000));
    let xml = format!(
        "<vnml{}><project>{definitions}<group><valuation><m select=\"//x[lang('en')]|/vnml/project/m\"/></valuation></group></project></vnml>",
        attributes("a", 9_990)
    );
    ends_at(&xml, "max-visits");
}

#[test]
fn many_large_task_documents_are_refused_before_one_is_made() {
    let note = format!("<note>{}</note>", "n".repeat(1_000_000));
    let definitions = format!("{note}<x>{}</x>", "<p/>".repeat(1_000));
    let xml = document(
        &definitions,
        "<valuation use='vn:link(/vnml/project/x, p)'/>",
    );
    ends_at(&xml, "max-task-bytes");
}

#[test]
fn many_tasks_that_each_bring_in_a_large_document_are_refused_before_one_is_made() {
    let quotes = "<q k='v'>text</q>".repeat(60_000);
    let mut resources = CapturedResources::default();
    let market = format!("<market name='m'>{quotes}</market>");
    resources.insert("s3://a/m.xml", market.as_bytes()).unwrap();
    let brought = "<valuation><market name='m' href='s3://a/m.xml'/></valuation>";
    let selected = "<valuation><p select='/vnml/project/market'/></valuation>";
    for (definitions, valuation) in [
        ("", brought),
        ("<market name='m' href='s3://a/m.xml'/>", selected),
    ] {
        let xml = document(definitions, &valuation.repeat(2_000));
        let whole = Document::accept(xml.as_bytes(), &Limits::default()).unwrap();
        let count = || whole.count_tasks(&resources, 0, Effort::Whole);
        let (counted, used) = processor::timed(count);
        assert!(used < SOON, "used {used:?} of the processor");
        let refused = counted.unwrap_err().to_string();
        assert!(refused.contains("max-task-bytes"), "{refused}");
        // The budget counts no more than is written.
        let fits = 400;
        let xml = document(definitions, &valuation.repeat(fits));
        let few = Document::accept(xml.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(few.count_tasks(&resources, 0, Effort::Whole).unwrap(), fits);
    }
}

#[test]
fn the_parts_common_to_all_groups_are_written_once() {
    let note = format!("<note>{}</note>", "n".repeat(2_000_000));
    let groups = "<group/>".repeat(5_000) + &"<group><valuation/></group>".repeat(300);
    let xml = format!("<vnml><project>{note}{groups}</project></vnml>");
    let document = Document::accept(xml.as_bytes(), &Limits::default()).unwrap();
    let resources = CapturedResources::default();
    let (made, used) = processor::timed(|| -> Result<usize, HydrationError> {
        let mut made = Ok(0);
        for group in 0..document.groups() {
            let tasks = document.tasks(
                &resources,
                group,
                [TaskNumber::FIRST],
                usize::MAX,
                Effort::Whole,
            );
            made = made.and_then(|made| Ok(made + tasks?.len()));
        }
        made
    });
    assert!(used < SOON, "used {used:?} of the processor");
    assert!(made.unwrap_err().to_string().contains("max-task-bytes"));
}

#[test]
fn comparing_every_node_with_every_node_takes_one_pass_over_each() {
    let many: String = (0..50_000)
        .map(|n| format!("<a>{n}</a><b>b{n}</b>"))
        .collect();
    for operator in ["=", "!=", "<", ">=", "<="] {
        let xml = select(
            &format!("<m/>{many}"),
            &format!("/vnml/project/m[//a {operator} //b]"),
        );
        match tasks(&xml) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.code().as_str(), "hydration-no-match", "{error}"),
        }
    }
}

#[test]
fn uniting_everything_many_times_holds_it_once() {
    let many = "<a/>".repeat(100_000);
    let xml = select(&many, &vec!["//a"; 200].join("|"));
    let error = tasks(&xml).unwrap_err();
    assert!(
        ["hydration-too-costly", "hydration-ambiguous"].contains(&error.code().as_str()),
        "{error}"
    );
}

#[test]
fn an_expression_of_many_operators_for_each_of_many_nodes_is_counted() {
    let sum = "+1".repeat(5_000);
    let xml = select(&"<a/>".repeat(50_000), &format!("//a[1{sum}=0]"));
    ends_at(&xml, "max-visits");
}

#[test]
fn placeholders_that_copy_an_element_for_each_of_many_valuations_end_at_a_limit() {
    let big = format!("<m>{}</m>", "<r>0.0123456789</r>".repeat(20_000));
    let valuations = "<valuation k='${select(/vnml/project/m)}'/>".repeat(5_000);
    let error = tasks(&document(&big, &valuations)).unwrap_err();
    assert_eq!(error.code().as_str(), "hydration-too-costly", "{error}");
}

#[test]
fn attributes_whose_prefixes_meet_are_written_in_one_pass() {
    let declared = |namespace: &str| -> String {
        (0..150)
            .map(|n| format!(" xmlns:p{n}='urn:{namespace}{n}'"))
            .collect()
    };
    let named = |local: &str| -> String {
        (0..4_000)
            .map(|n| format!(" p{}:{local}{n}='v'", n % 150))
            .collect()
    };
    let definitions = format!("<m{}{}/>", declared("a"), named("a"));
    let valuation = format!(
        "<valuation><m{}{} select='/vnml/project/m'/></valuation>",
        declared("b"),
        named("b")
    );
    let error = tasks(&document(&definitions, &valuation.repeat(5))).unwrap_err();
    assert!(error.to_string().contains("max-namespaces"), "{error}");
}

#[test]
fn making_a_task_again_costs_a_document_nothing_more() {
    let definitions = "<m><a/></m>";
    let valuations = "<valuation><m select='/vnml/project/m'/></valuation>".repeat(10);
    let xml = document(definitions, &valuations);
    let resources = CapturedResources::default();
    let make = |document: &Document, numbers: std::ops::RangeInclusive<u32>| {
        document
            .tasks(
                &resources,
                0,
                numbers.map(TaskNumber::new),
                usize::MAX,
                Effort::Whole,
            )
            .map(|made| made.len())
    };
    let with = |max_resolved| {
        let limits = Limits {
            max_resolved,
            ..Limits::default()
        };
        Document::accept(xml.as_bytes(), &limits).unwrap()
    };
    let document = with(10);
    for _ in 0..100 {
        assert_eq!(make(&document, 1..=10), Ok(10));
        assert_eq!(make(&document, 7..=7), Ok(1));
    }
    let error = make(&with(9), 1..=10).unwrap_err();
    assert!(error.to_string().contains("max-resolved"), "{error}");
}

#[test]
fn work_beyond_the_short_effort_is_abandoned_and_not_charged() {
    let definitions = format!("<m/>{}", "<x/>".repeat(3_000));
    let valuation =
        "<valuation><m select='/vnml/project/m[count(//x[count(//x)&gt;1])&gt;1]'/></valuation>";
    let document = Document::accept(
        document(&definitions, valuation).as_bytes(),
        &Limits::default(),
    )
    .unwrap();
    let resources = CapturedResources::default();
    for _ in 0..3 {
        let short = document.tasks(
            &resources,
            0,
            [TaskNumber::FIRST],
            usize::MAX,
            Effort::Short,
        );
        assert_eq!(short, Err(HydrationError::TakesLonger));
    }
    let whole = document.tasks(
        &resources,
        0,
        [TaskNumber::FIRST],
        usize::MAX,
        Effort::Whole,
    );
    assert_eq!(whole.unwrap().len(), 1);
}

/// A limit at its value and one beyond it.
#[test]
fn groups_names_and_references_are_refused_one_beyond_their_limits() {
    let limits = Limits::default();
    let groups = |count: usize| "<group/>".repeat(count);
    let named = |bytes: usize| format!("<group name='{}'/>", "n".repeat(bytes));
    let valuation = |bytes: usize| {
        format!(
            "<group><valuation name='{}'/></group>",
            "é".repeat(bytes / 2)
        )
    };
    let href = |bytes: usize| format!("<m href='{}'/>", "u".repeat(bytes));
    let many = |bytes: usize| named(256).repeat(bytes / 256) + &named(bytes % 256);
    let cases: [(&str, usize, usize, Make<'_>); 5] = [
        ("max-groups", limits.max_groups, 1, &groups),
        ("max-label-bytes", limits.max_label_bytes, 1, &named),
        ("max-label-bytes", limits.max_label_bytes, 2, &valuation),
        ("max-labels-bytes", limits.max_labels_bytes, 1, &many),
        ("max-uri-bytes", limits.max_uri_bytes, 1, &href),
    ];
    for (name, limit, step, make) in cases {
        let accept = |size: usize| {
            let xml = format!("<vnml><project>{}</project></vnml>", make(size));
            Document::accept(xml.as_bytes(), &limits)
        };
        assert!(accept(limit).is_ok(), "{name} at its limit");
        let refusal = accept(limit + step).unwrap_err();
        assert_eq!(refusal.code(), "document-limit", "{name}: {refusal}");
        assert!(refusal.to_string().contains(name), "{name}: {refusal}");
    }
}

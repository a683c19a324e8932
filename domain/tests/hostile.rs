//! Hostile documents end with a clear error, soon, and without unusual memory.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::format_push_string,
    clippy::format_collect
)] // A broken case must stop the test.

mod processor;

use domain::request::TaskNumber;
use std::time::Duration;

use domain::document::{
    CapturedResources, Cause, Document, Effort, HydrationError, InvalidResult, Limits, Refusal,
    TasksPreview, check_result, mark_for,
};

/// How much processor time a refusal may take. The bound is a second; the code under test is not
/// optimized here.
const SOON: Duration = Duration::from_secs(if cfg!(debug_assertions) { 15 } else { 1 });

#[track_caller]
fn soon<T>(work: impl FnOnce() -> T) -> T {
    let (done, used) = processor::timed(work);
    assert!(used < SOON, "used {used:?} of the processor");
    done
}

#[track_caller]
fn refused(bytes: &[u8]) -> Refusal {
    soon(|| Document::accept(bytes, &Limits::default())).unwrap_err()
}

fn vnml(content: &str) -> String {
    format!("<vnml><project>{content}</project></vnml>")
}

/// Accepts a document, and makes all tasks of its first group.
fn tasks(xml: &str) -> Result<usize, HydrationError> {
    let document = Document::accept(xml.as_bytes(), &Limits::default()).unwrap();
    let resources = CapturedResources::default();
    let count = u32::try_from(document.count_tasks(&resources, 0, Effort::Whole)?).unwrap();
    let (mut bytes, mut made) = (0, 0);
    while made < count {
        for task in document.tasks(
            &resources,
            0,
            (made + 1..=count).map(TaskNumber::new),
            1 << 20,
            Effort::Whole,
        )? {
            bytes += task.xml.len();
            made = task.number.get();
        }
    }
    Ok(bytes)
}

#[track_caller]
fn fails(xml: &str, code: &str) {
    let error = soon(|| tasks(xml)).unwrap_err();
    assert_eq!(error.code().as_str(), code, "{error}");
}

#[test]
fn nesting_of_a_hundred_thousand_is_refused_where_it_goes_too_deep() {
    let refusal = refused(format!("<vnml>{}", "<a>".repeat(100_000)).as_bytes());
    assert_eq!(refusal.cause(), Cause::Limit);
    assert_eq!(refusal.column(), Some(6 + 127 * 3 + 1));
}

#[test]
fn nesting_is_accepted_up_to_its_limit() {
    let depth = Limits::default().max_depth - 2;
    let deep = |depth: usize| vnml(&format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth)));
    assert!(Document::accept(deep(depth).as_bytes(), &Limits::default()).is_ok());
    assert_eq!(refused(deep(depth + 1).as_bytes()).cause(), Cause::Limit);
}

#[test]
fn a_million_attributes_are_refused() {
    let attributes: String = (0..1_000_000).map(|n| format!(" a{n}=''")).collect();
    let document = format!("<vnml{attributes}/>");
    let roomy = Limits {
        max_bytes: document.len(),
        ..Limits::default()
    };
    let refusal = soon(|| Document::accept(document.as_bytes(), &roomy)).unwrap_err();
    assert_eq!(refusal.cause(), Cause::Limit);
}

#[test]
fn a_million_nodes_too_many_are_refused() {
    let refusal = refused(vnml(&"<a/>".repeat(2_000_001)).as_bytes());
    assert_eq!(refusal.cause(), Cause::Limit);
    let small = Limits {
        max_nodes: 10,
        ..Limits::default()
    };
    let refusal = Document::accept(vnml(&"<a b=''/>".repeat(5)).as_bytes(), &small).unwrap_err();
    assert_eq!(refusal.cause(), Cause::Limit);
}

#[test]
fn a_document_over_its_size_is_refused_unread() {
    let small = Limits {
        max_bytes: 10,
        ..Limits::default()
    };
    let refusal = Document::accept(b"not even XML", &small).unwrap_err();
    assert!(refusal.is_too_large());
}

#[test]
fn every_doctype_is_refused_with_entity_bombs_and_external_entities() {
    let laughs = r#"<?xml version="1.0"?>
<!DOCTYPE vnml [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<vnml><project>&b;</project></vnml>"#;
    let external = "<!DOCTYPE vnml SYSTEM 'file:///etc/passwd'><vnml/>";
    let quadratic = format!(
        "<!DOCTYPE vnml [<!ENTITY a '{}'>]><vnml>{}</vnml>",
        "a".repeat(100_000),
        "&a;".repeat(100_000)
    );
    for document in [laughs, external, &quadratic] {
        assert_eq!(refused(document.as_bytes()).cause(), Cause::Doctype);
    }
    assert_eq!(refused(laughs.as_bytes()).line(), Some(2));
}

#[test]
fn an_entity_nobody_declared_is_refused() {
    for content in [
        "&a;",
        "<m a='&a;'/>",
        "&",
        "&;",
        "&#;",
        "&#x110000;",
        "&#0;",
        "&#xFFFE;",
        "<m a='&'/>",
        "<m a='&#0;'/>",
    ] {
        let refusal = refused(vnml(content).as_bytes());
        assert_eq!(refusal.cause(), Cause::Malformed, "{content}");
        assert_eq!(refusal.line(), Some(1), "{content}");
    }
}

#[test]
fn names_of_a_megabyte_are_refused() {
    let name = "n".repeat(1024 * 1024);
    assert_eq!(
        refused(vnml(&format!("<{name}/>")).as_bytes()).cause(),
        Cause::Limit
    );
    assert_eq!(
        refused(vnml(&format!("<a {name}=''/>")).as_bytes()).cause(),
        Cause::Limit
    );
}

#[test]
fn a_thousand_namespaces_in_scope_are_refused() {
    let declarations: String = (0..1_000)
        .map(|n| format!(" xmlns:p{n}='urn:{n}'"))
        .collect();
    let refusal = refused(vnml(&format!("<a{declarations}/>")).as_bytes());
    assert_eq!(refusal.cause(), Cause::Limit);
    let many: String = (0..100).map(|n| format!(" xmlns:p{n}='urn:{n}'")).collect();
    let document = vnml(&format!(
        "<a{many}>{}</a>",
        "<p1:b p2:c=''/>".repeat(100_000)
    ));
    soon(|| Document::accept(document.as_bytes(), &Limits::default())).unwrap();
}

#[test]
fn bytes_that_contradict_their_declared_encoding_are_refused() {
    let cases: [(&[u8], Cause); 9] = [
        (b"<vnml>\xFF</vnml>", Cause::Encoding),
        (b"<vnml>\xC0\x80</vnml>", Cause::Encoding),
        (b"<vnml>\xED\xA0\x80</vnml>", Cause::Encoding),
        (
            b"<?xml version='1.0' encoding='ISO-8859-1'?><vnml/>",
            Cause::Encoding,
        ),
        (
            b"<?xml version='1.0' encoding='UTF-16'?><vnml/>",
            Cause::Encoding,
        ),
        (b"\xFE\xFF\x00<\x00v\xD8\x00", Cause::Encoding),
        (b"\xFF\xFE<\x00v", Cause::Encoding),
        (b"<vnml>\x00</vnml>", Cause::Malformed),
        (b"<vnml a='\x01'/>", Cause::Malformed),
    ];
    for (bytes, cause) in cases {
        assert_eq!(refused(bytes).cause(), cause, "{bytes:?}");
    }
}

#[test]
fn utf_16_is_read_as_its_byte_order_mark_says() {
    let text = "<?xml version='1.0' encoding='UTF-16'?><vnml><project a='é𝄞'/></vnml>";
    let little = text.encode_utf16().flat_map(u16::to_le_bytes);
    let bytes: Vec<u8> = [0xFF, 0xFE].into_iter().chain(little).collect();
    let document = Document::accept(&bytes, &Limits::default()).unwrap();
    assert_eq!(
        document.canonical(),
        r#"<vnml><project a="é𝄞"></project></vnml>"#
    );
    let big = text.encode_utf16().flat_map(u16::to_be_bytes);
    let bytes: Vec<u8> = [0xFE, 0xFF].into_iter().chain(big).collect();
    assert!(Document::accept(&bytes, &Limits::default()).is_ok());
}

#[test]
fn a_document_that_is_not_well_formed_is_refused_with_the_position() {
    let cases = [
        "<vnml><project></vnml>",
        "<vnml><project/>",
        "<vnml/><vnml/>",
        "<vnml/>x",
        "x<vnml/>",
        "",
        " ",
        "<!-- -->",
        "<vnml a='1' a='2'/>",
        "<vnml a='1'b='2'/>",
        "<vnml a=1/>",
        "<vnml a/>",
        "<vnml a='<'/>",
        "<vnml>]]></vnml>",
        "<vnml><!-- -- --></vnml>",
        "<vnml><!-- ---></vnml>",
        "<vnml><q:a/></vnml>",
        "<vnml q:a=''/>",
        "<vnml xmlns:q=''/>",
        "<vnml xmlns:xml='urn:a'/>",
        "<vnml xmlns:xmlns='urn:a'/>",
        "<vnml><a:b:c xmlns:a='urn:a'/></vnml>",
        "<1/>",
        "<vnml><-a/></vnml>",
        "<vnml xmlns:a='u' xmlns:b='u' a:k='' b:k=''/>",
        " <?xml version='1.0'?><vnml/>",
        "<?xml?><vnml/>",
        "<?xml version='2.0'?><vnml/>",
        "<?xml version='1.0' standalone='x'?><vnml/>",
        "<?xml encoding='UTF-8'?><vnml/>",
        "<?xml version='1.0'encoding='UTF-8'?><vnml/>",
        "<vnml><?xml version='1.0'?></vnml>",
        "<vnml><![CDATA[</vnml>",
        "<![CDATA[x]]><vnml/>",
        "<vnml></vnml",
        "<vnml",
        "<",
        "<vnml></vnml x>",
        "<vnml/ >",
        "< vnml/>",
        "&amp;<vnml/>",
        "<vnml>\u{FFFE}</vnml>",
        "<vnml><??></vnml>",
        "<vnml a='1' / >",
        "<vnml><? x?></vnml>",
    ];
    for case in cases {
        let refusal = refused(case.as_bytes());
        assert_eq!(refusal.cause(), Cause::Malformed, "{case}: {refusal}");
        assert!(
            refusal.line().is_some() && refusal.column().is_some(),
            "{case}: {refusal}"
        );
    }
    let refusal = refused("<vnml>\n  <project>\n  é</prject></vnml>".as_bytes());
    assert_eq!(
        (refusal.line(), refusal.column()),
        (Some(3), Some(4)),
        "{refusal}"
    );
}

#[test]
fn a_refusal_names_the_position_of_the_fault_and_not_of_its_surroundings() {
    for (attributes, column, reason) in [
        ("a='1'\n b='2'c='3'", 7, "white space is missing"),
        ("a='1'\n b='x &no; y'", 7, "&no; is not declared"),
        ("a='1'\n b='x & y'", 7, "write &amp;"),
        (
            "a='1'\n b='&lt;&#2;'",
            9,
            "no reference to a character that XML has",
        ),
        ("a='1'\n p:b='2'", 2, "the prefix p is not bound"),
        ("a='p:b'\n b='<'", 5, "write &lt;"),
    ] {
        let refusal = refused(format!("<vnml {attributes}/>").as_bytes());
        let place = (refusal.line(), refusal.column());
        assert_eq!(place, (Some(2), Some(column)), "{attributes}: {refusal}");
        assert!(
            refusal.to_string().contains(reason),
            "{attributes}: {refusal}"
        );
    }
}

#[test]
fn a_charset_that_the_document_contradicts_is_an_error_that_names_both() {
    let plain = |text: &str| text.as_bytes().to_vec();
    let marked = |text: &str| [b"\xEF\xBB\xBF", text.as_bytes()].concat();
    let wide: Vec<u8> = "<vnml/>"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    for (charset, document, found) in [
        ("utf-16", marked("<vnml/>"), "the byte order mark"),
        ("iso-8859-1", plain("<vnml/>"), "UTF-8 or UTF-16"),
        ("us-ascii", plain("<vnml>é</vnml>"), "beyond ASCII"),
        ("utf-8", wide.clone(), "in UTF-16"),
        (
            "utf-8",
            plain("<?xml version='1.0' encoding='utf-16'?><vnml/>"),
            "encoding=\"utf-16\"",
        ),
        (
            "UTF8",
            plain("<?xml version='1.0' encoding='latin1'?><vnml/>"),
            "encoding=\"latin1\"",
        ),
    ] {
        let refusal = mark_for(&document, charset).unwrap_err();
        let said = refusal.to_string();
        assert_eq!(refusal.cause(), Cause::Encoding, "{said}");
        assert!(said.contains(&format!("charset={charset}")), "{said}");
        assert!(said.contains(found), "{said}");
    }
    for (charset, document, mark) in [
        ("UTF-8", plain("<vnml>é</vnml>"), None),
        ("utf8", marked("<vnml/>"), None),
        ("ASCII", plain("<vnml/>"), None),
        (
            "us-ascii",
            plain("<?xml version='1.0' encoding='utf-8'?><vnml/>"),
            None,
        ),
        ("utf-16", wide, Some([0xFE, 0xFF])),
    ] {
        assert_eq!(mark_for(&document, charset).unwrap(), mark, "{charset}");
    }
}

#[test]
fn a_document_that_is_no_request_is_refused_and_the_missing_part_named() {
    let cases = [
        (
            "<a/>",
            "the root element is <a>; <vnml> is expected (line 1, column 1)",
        ),
        (
            "\n <vnml><a/></vnml>",
            "<vnml> has no <project> (line 2, column 2)",
        ),
        (
            "<vnml><project/>\n<project/></vnml>",
            "<vnml> has more than one <project> (line 2, column 1)",
        ),
        (
            "<vnml><project xmlns='urn:a'/></vnml>",
            "<vnml> has no <project> (line 1, column 1)",
        ),
        (
            "<vnml xmlns='urn:a'><project/></vnml>",
            "the root element <vnml> is in a namespace; it must be in none (line 1, column 1)",
        ),
    ];
    for (document, message) in cases {
        let refusal = refused(document.as_bytes());
        assert_eq!(
            (refusal.cause(), refusal.to_string().as_str()),
            (Cause::Structure, message)
        );
    }
}

#[test]
fn costly_expressions_are_stopped() {
    let many = "<a><b/></a>".repeat(20_000);
    for expression in [
        "//*[.//*[.//*]]",
        "//*[//*[//*]]",
        "//a[count(//*) = 1]",
        "//a[following::*[preceding::a]]",
        "//*[ancestor-or-self::*/descendant::*]",
        "/vnml/project/a[b = //b]",
        "//a[string(/vnml) = 'x']",
        "//*[concat(//a, //b) = translate(/, 'a', 'b')]",
        "//a[sum(//b) > 1]",
        "(//a | //b)[count(//*) > 0]",
        "//a[../a[../a = 1]]",
        "//a[not(preceding-sibling::a[not(following-sibling::b)])]",
    ] {
        let document = vnml(&format!(
            "{many}<group><valuation><x select='{}'/></valuation></group>",
            expression.replace('\'', "&apos;")
        ));
        let error = soon(|| tasks(&document)).unwrap_err();
        let expected = [
            "hydration-too-costly",
            "hydration-no-match",
            "hydration-ambiguous",
            "hydration-syntax",
        ];
        assert!(
            expected.contains(&error.code().as_str()),
            "{expression}: {error}"
        );
    }
}

#[test]
fn expressions_of_huge_numbers_and_texts_are_harmless() {
    let digits = "9".repeat(10_000);
    let document = vnml(&format!(
        "<m/><group><valuation><x select='/vnml/project/m[{digits}]'/></valuation></group>"
    ));
    fails(&document, "hydration-no-match");
    let document = vnml(&format!(
        "<m>{digits}</m><group><valuation><x select='/vnml/project/m[. > {digits}]'/></valuation></group>"
    ));
    fails(&document, "hydration-no-match");
    let long = "a".repeat(1_000_000);
    fails(
        &vnml(&format!(
            "<group><valuation><x select='/{long}'/></valuation></group>"
        )),
        "hydration-syntax",
    );
    fails(
        &vnml(&format!(
            "<m>{long}</m><group><valuation><x select='/vnml/project/m[translate(translate(., \"a\", \"b\"), \"b\", .) = 1]'/></valuation></group>"
        )),
        "hydration-no-match",
    );
}

#[test]
fn an_exponential_blow_up_of_selects_is_stopped() {
    let mut content = String::from("<l0>ha</l0>");
    for level in 1..20 {
        let select = format!("<s select='/vnml/project/l{}'/>", level - 1);
        content.push_str(&format!("<l{level}>{}</l{level}>", select.repeat(10)));
    }
    content.push_str("<group><valuation><s select='/vnml/project/l19'/></valuation></group>");
    fails(&vnml(&content), "hydration-too-costly");
}

#[test]
fn a_quadratic_blow_up_of_selects_is_stopped_at_its_size() {
    let big = format!("<m>{}</m>", "<r>0.0123456789</r>".repeat(50_000));
    let selects = "<m select='/vnml/project/m'/>".repeat(10_000);
    fails(
        &vnml(&format!(
            "{big}<group><valuation>{selects}</valuation></group>"
        )),
        "hydration-too-costly",
    );
    let values: String = (0..1_000)
        .map(|n| format!(" a{n}='${{select(/vnml/project/m)}}'"))
        .collect();
    fails(
        &vnml(&format!("{big}<group><valuation{values}/></group>")),
        "hydration-too-costly",
    );
}

#[test]
fn elements_that_select_themselves_or_each_other_are_cycles() {
    let select = |content: &str| {
        vnml(&format!(
            "{content}<group><valuation><x select='/vnml/project/a'/></valuation></group>"
        ))
    };
    fails(
        &select("<a><s select='/vnml/project/a'/></a>"),
        "hydration-cycle",
    );
    fails(
        &select("<a><s select='/vnml/project/b'/></a><b><s select='/vnml/project/a'/></b>"),
        "hydration-cycle",
    );
    fails(
        &select(
            "<a><s select='/vnml/project/b'/><s select='/vnml/project/b'/></a><b><s select='/vnml/project/a'/><s select='/vnml/project/a'/></b>",
        ),
        "hydration-cycle",
    );
    fails(
        &vnml(
            "<group><valuation><x select='/vnml/project/group/valuation/x'/></valuation></group>",
        ),
        "hydration-cycle",
    );
    fails(
        &vnml("<group><valuation select='/vnml/project/group/valuation'/></group>"),
        "hydration-cycle",
    );
}

#[test]
fn documents_that_refer_to_each_other_many_times_are_stopped() {
    let document = Document::accept(vnml("<a href='s3://b/a'/>").as_bytes(), &Limits::default());
    let mut resources = CapturedResources::default();
    let links = |name: &str, to: &str| {
        format!(
            "<{name}>{}</{name}>",
            format!("<{to} href='s3://b/{to}'/>").repeat(10)
        )
    };
    resources
        .insert("s3://b/a", links("a", "b").as_bytes())
        .unwrap();
    resources
        .insert("s3://b/b", links("b", "a").as_bytes())
        .unwrap();
    let error = soon(|| document.unwrap().hydrate(&resources, "/")).unwrap_err();
    assert!(
        matches!(
            error.code().as_str(),
            "hydration-cycle" | "hydration-too-costly"
        ),
        "{error}"
    );
}

#[test]
fn more_references_than_a_document_may_have_are_too_many() {
    let references: String = (0..50_000)
        .map(|n| format!("<m href='s3://b/{n}'/>"))
        .collect();
    fails(
        &vnml(&format!(
            "<group><valuation>{references}</valuation></group>"
        )),
        "hydration-too-costly",
    );
}

#[test]
fn a_group_of_more_tasks_than_it_may_have_is_too_costly() {
    let limits = Limits {
        max_tasks: 3,
        ..Limits::default()
    };
    let document = vnml(
        "<p><i/><i/></p><group><valuation use='vn:link(/vnml/project/p, i)'/><valuation use='vn:link(/vnml/project/p, i)'/></group>",
    );
    let document = Document::accept(document.as_bytes(), &limits).unwrap();
    let error = document
        .count_tasks(&CapturedResources::default(), 0, Effort::Whole)
        .unwrap_err();
    assert_eq!(error.code().as_str(), "hydration-too-costly");
    let squared = vnml(&format!(
        "<p>{}</p><group>{}</group>",
        "<i/>".repeat(20_000),
        "<valuation use='vn:link(/vnml/project/p, i)'/>".repeat(5_000)
    ));
    fails(&squared, "hydration-too-costly");
}

#[test]
fn a_counterpart_among_a_hundred_thousand_is_found_soon() {
    let locals: String = (0..10_000)
        .map(|n| format!("<m name='m{n}' href='s3://b/k'/>"))
        .collect();
    let remotes: String = (0..100_000).map(|n| format!("<m name='m{n}'/>")).collect();
    let document = Document::accept(vnml(&locals).as_bytes(), &Limits::default()).unwrap();
    let mut resources = CapturedResources::default();
    resources
        .insert("s3://b/k", format!("<l>{remotes}</l>").as_bytes())
        .unwrap();
    soon(|| document.hydrate(&resources, "/")).unwrap();
}

#[test]
fn a_hostile_result_is_no_result() {
    for result in [
        "<vnml>".repeat(100_000),
        "<!DOCTYPE a><vnml/>".into(),
        "\0".into(),
        "<a><job/></a>".into(),
    ] {
        assert!(soon(|| check_result(result.as_bytes(), &Limits::default())).is_err());
    }
}

#[test]
fn a_dry_run_stops_where_its_tasks_become_too_much() {
    let rest = "<r>0.0123456789</r>".repeat(5_000);
    let valuations = "<valuation/>".repeat(2_000);
    let document = vnml(&format!("{rest}<group>{valuations}</group><group/>"));
    let document = Document::accept(document.as_bytes(), &Limits::default()).unwrap();
    let preview = soon(|| document.preview(Effort::Whole).unwrap());
    assert_eq!(
        preview.groups[0].tasks,
        TasksPreview::Ready { tasks: 2_000 }
    );
    assert_eq!(preview.groups[1].tasks, TasksPreview::NeedsResults);
}

#[test]
fn results_that_make_the_document_too_large_are_too_much() {
    let limits = Limits {
        max_assembled_bytes: 1_000,
        ..Limits::default()
    };
    let document = vnml("<group><valuation/></group>");
    let mut document = Document::accept(document.as_bytes(), &limits).unwrap();
    let result = vnml(&format!(
        "<group><valuation>{}</valuation></group>",
        "x".repeat(500)
    ));
    let results = [result.as_bytes(), result.as_bytes()];
    let with = document.response_with(0, &results);
    assert_eq!(with, Err(InvalidResult::TooMuch(1_000)));
    let put = document.put_results(0, results);
    assert_eq!(put, Err(InvalidResult::TooMuch(1_000)));
}

#[test]
fn a_response_that_escaping_makes_too_large_is_too_much() {
    let limits = Limits {
        max_assembled_bytes: 1_000,
        ..Limits::default()
    };
    let references = "<![CDATA[&]]>".repeat(300);
    let document = vnml(&format!("<note>{references}</note><group/>"));
    let document = Document::accept(document.as_bytes(), &limits).unwrap();
    assert_eq!(document.response(), Err(InvalidResult::TooMuch(1_000)));
    let none: &[&[u8]] = &[];
    let with = document.response_with(0, none);
    assert_eq!(with, Err(InvalidResult::TooMuch(1_000)));
}

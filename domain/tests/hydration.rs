//! The contract of hydration (`docs/vnml.md`, section 4), clause by clause, in addition to the
//! golden cases.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::format_push_string,
    clippy::format_collect
)] // A broken case must stop the test.

use domain::document::{CapturedResources, Document, Effort, HydrationError, Limits, canonicalize};
use domain::request::TaskNumber;

/// A document, its resources, and the element to hydrate.
struct Case<'a> {
    input: String,
    remote: &'a [(&'a str, &'a str)],
    target: &'a str,
}

/// Hydrates the whole of `<vnml><project>…</project></vnml>`.
fn project(content: &str) -> Case<'static> {
    Case {
        input: format!("<vnml><project>{content}</project></vnml>"),
        remote: &[],
        target: "/",
    }
}

impl<'a> Case<'a> {
    fn with(mut self, remote: &'a [(&'a str, &'a str)]) -> Self {
        self.remote = remote;
        self
    }

    fn at(mut self, target: &'a str) -> Self {
        self.target = target;
        self
    }

    fn run(&self) -> Result<String, HydrationError> {
        let document = Document::accept(self.input.as_bytes(), &Limits::default()).unwrap();
        let mut resources = CapturedResources::default();
        loop {
            match document.hydrate(&resources, self.target) {
                Err(HydrationError::Missing { uris }) => {
                    for uri in uris {
                        let remote = self.remote.iter().find(|(known, _)| *known == uri);
                        let (_, xml) = remote.unwrap_or_else(|| panic!("{uri} is asked for"));
                        resources.insert(&uri, xml.as_bytes())?;
                    }
                }
                done => return done,
            }
        }
    }

    #[track_caller]
    fn gives(&self, content: &str) {
        let expected = if self.target == "/" {
            format!("<vnml><project>{content}</project></vnml>")
        } else {
            format!("<hydrated>{content}</hydrated>")
        };
        let answer = self.run().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(canonical(&answer), canonical(&expected));
    }

    #[track_caller]
    fn fails(&self, code: &str) {
        match self.run() {
            Ok(answer) => panic!("{code} is expected: {answer}"),
            Err(error) => assert_eq!(error.code().as_str(), code, "{error}"),
        }
    }
}

fn canonical(xml: &str) -> String {
    canonicalize(xml.as_bytes(), &Limits::default()).unwrap_or_else(|e| panic!("{e}: {xml}"))
}

#[test]
fn a_href_takes_the_counterpart_with_the_local_things_over_it() {
    project(r#"<market name="M1" href="s3://b/k"><rate>0.05</rate></market>"#)
        .with(&[(
            "s3://b/k",
            r#"<market name="M1" d="1"><rate>0.04</rate><x/></market>"#,
        )])
        .gives(r#"<market name="M1" d="1"><rate>0.05</rate><x/></market>"#);
}

#[test]
fn an_element_called_href_is_data() {
    project("<market><href>s3://b/k</href></market>")
        .gives("<market><href>s3://b/k</href></market>");
}

#[test]
fn a_counterpart_is_found_by_the_path_before_the_name() {
    let remote = r#"<vnml><project><market name="x" v="path1"/><market v="path2"/></project>
        <o><market name="B" v="name"/></o></vnml>"#;
    project(r#"<market name="A"/><market name="B" href="s3://b/k"/>"#)
        .with(&[("s3://b/k", remote)])
        .gives(r#"<market name="A"/><market name="B" v="path2"/>"#);
}

#[test]
fn a_path_that_gives_two_leaves_the_choice_to_the_name() {
    let remote =
        r#"<vnml><project><market name="x" v="1"/><market name="B" v="2"/></project></vnml>"#;
    project(r#"<market name="B" href="s3://b/k"/>"#)
        .with(&[("s3://b/k", remote)])
        .gives(r#"<market name="B" v="2"/>"#);
}

#[test]
fn an_empty_name_finds_no_counterpart() {
    let remote = r#"<l><market name="" v="1"/><market id="7" v="2"/></l>"#;
    project(r#"<market name="" id="7" href="s3://b/k"/>"#)
        .with(&[("s3://b/k", remote)])
        .gives(r#"<market name="" id="7" v="2"/>"#);
}

#[test]
fn a_merged_element_finds_its_counterpart_by_its_new_position() {
    let library = r#"<lib><market><curve href="s3://b/c"/></market></lib>"#;
    let curves = r#"<vnml><project><market><curve v="here"/></market></project>
        <other><curve v="there"/></other></vnml>"#;
    project(r#"<market href="s3://b/m"/>"#)
        .with(&[("s3://b/m", library), ("s3://b/c", curves)])
        .gives(r#"<market><curve v="here"/></market>"#);
}

#[test]
fn all_missing_documents_are_requested_at_once() {
    let document = Document::accept(
        br#"<vnml><project><a href="s3://b/1"/><b href="s3://b/2"/><c href=" s3://b/1 "/></project></vnml>"#,
        &Limits::default(),
    );
    let error = document
        .unwrap()
        .hydrate(&CapturedResources::default(), "/");
    let uris = vec!["s3://b/1".to_owned(), "s3://b/2".to_owned()];
    assert_eq!(error, Err(HydrationError::Missing { uris }));
}

#[test]
fn references_that_refer_back_are_an_error() {
    project(r#"<a href="s3://b/a"/>"#)
        .with(&[
            ("s3://b/a", r#"<l><a><b href="s3://b/b"/></a></l>"#),
            ("s3://b/b", r#"<l><b><a href="s3://b/a"/></b></l>"#),
        ])
        .fails("hydration-cycle");
    project(r#"<x><i select="/vnml/project/y"/></x><y><j select="/vnml/project/x"/></y>"#)
        .fails("hydration-cycle");
    project(r#"<x><i select="/vnml/project/x"/></x>"#).fails("hydration-cycle");
    project(r#"<x><i select="/vnml"/></x>"#).fails("hydration-cycle");
    project(r#"<x><i select="//i"/></x>"#).fails("hydration-cycle");
}

#[test]
fn a_reference_that_leads_back_to_itself_is_an_error_where_its_select_would_be_dropped() {
    project(
        r#"<x><a id="1" select="/vnml/project/y"/></x>
        <y><b><c select="//a[@id='1']"/></b></y>"#,
    )
    .fails("hydration-cycle");
}

#[test]
fn the_value_of_a_placeholder_is_data_even_if_it_looks_like_a_placeholder() {
    let definitions = r#"<d v="1"/><m w="${select(/vnml/project/d/@v)}"><x name="k" b="m"/></m>"#;
    let at = |valuation: &str| {
        project(&format!(
            "{definitions}<group><valuation>{valuation}</valuation></group>"
        ))
        .at("//valuation")
    };
    at(r#"<x name="${select(/vnml/project/m/@w)}"/>"#)
        .gives(r#"<valuation><x name="${select(/vnml/project/d/@v)}"/></valuation>"#);
    at(r#"<m select="/vnml/project/m"><x name="${select(/vnml/project/m/@w)}"/></m>"#).gives(
        r#"<valuation><m w="1"><x name="${select(/vnml/project/d/@v)}"/><x name="k" b="m"/></m></valuation>"#,
    );
}

#[test]
fn below_a_selecting_child_counterparts_are_found_by_its_resolved_form() {
    project(
        r#"<m><x><rate/></x><y><model k="1"/></y></m><model>2</model>
        <group><valuation><m select="/vnml/project/m">
          <x select="/vnml/project/m/y"><rate select="/vnml/project/model"/></x>
        </m></valuation></group>"#,
    )
    .at("//valuation")
    .gives(
        "<valuation><m><y><model>2</model><model k=\"1\"/><rate/></y><y><model k=\"1\"/></y></m></valuation>",
    );
}

#[test]
fn a_chain_of_sixty_four_is_followed_and_one_more_is_an_error() {
    let chain = |links: usize| {
        let mut content =
            String::from("<group><valuation><v select='/vnml/project/n1'/></valuation></group>");
        for link in 1..links {
            content.push_str(&format!(
                "<n{link}><c select='/vnml/project/n{}'/></n{link}>",
                link + 1
            ));
        }
        content.push_str(&format!("<n{links}/>"));
        content
    };
    assert!(project(&chain(64)).at("//valuation").run().is_ok());
    project(&chain(65))
        .at("//valuation")
        .fails("hydration-cycle");
}

#[test]
fn a_childs_own_select_overrides_the_child_of_the_selected_element() {
    project(
        r#"<s>new</s><m><s>old</s><t/></m>
        <group><valuation><m select="/vnml/project/m"><s select="/vnml/project/s" k="1"/></m></valuation></group>"#,
    )
    .at("//valuation")
    .gives(r#"<valuation><m><s k="1">new</s><t/></m></valuation>"#);
}

#[test]
fn a_childs_href_is_resolved_before_it_takes_part_in_the_merge() {
    project(
        r#"<m><c v="m" w="m"/></m>
        <group><valuation><x select="/vnml/project/m"><c href="s3://b/k" u="l"/></x></valuation></group>"#,
    )
    .with(&[("s3://b/k", r#"<c v="remote"/>"#)])
    .at("//valuation")
    .gives(r#"<valuation><m><c v="remote" w="m" u="l"/></m></valuation>"#);
}

#[test]
fn the_selected_elements_own_select_is_dropped_and_its_href_followed() {
    project(
        r#"<s v="1"/><m select="/vnml/project/s" k="2"/><h href="s3://b/k"/>
        <group><valuation><a select="/vnml/project/m"/><b select="/vnml/project/h"/></valuation></group>"#,
    )
    .with(&[("s3://b/k", r#"<h v="3"/>"#)])
    .at("//valuation")
    .gives(r#"<valuation><m k="2"/><h v="3"/></valuation>"#);
}

#[test]
fn two_elements_may_select_the_same_and_an_element_may_select_its_sibling() {
    project(r#"<a><b v="1"/><c select="/vnml/project/a/b"/><d select="../b"/></a>"#)
        .fails("hydration-no-context");
    project(r#"<a><b v="1"/><c select="/vnml/project/a/b"/><d select="/vnml/project/a/b"/></a>"#)
        .gives(r#"<a><b v="1"/><b v="1"/><b v="1"/></a>"#);
}

#[test]
fn selecting_again_below_a_selected_element_is_no_cycle() {
    project(
        r#"<m><v><s/></v></m>
        <group><valuation><m select="/vnml/project/m"><v><s select="/vnml/project/m/v" k="1"/></v></m></valuation></group>"#,
    )
    .at("//valuation")
    .gives(r#"<valuation><m><v><v k="1"><s/></v></v></m></valuation>"#);
}

#[test]
fn expressions_never_see_output_of_the_same_hydration() {
    project(r#"<market href="s3://b/k"/><x select="/vnml/project/market/curve"/>"#)
        .with(&[("s3://b/k", "<market><curve/></market>")])
        .fails("hydration-no-match");
}

#[test]
fn a_select_must_give_exactly_one_element() {
    project(r#"<m/><m/><x select="/vnml/project/m"/>"#).fails("hydration-ambiguous");
    project(r#"<x select="/vnml/project/none"/>"#).fails("hydration-no-match");
    project(r#"<x select="count(/vnml)"/>"#).fails("hydration-syntax");
    project(r#"<x select="/vnml = 1"/>"#).fails("hydration-no-match");
    project(r#"<x select="/vnml/project/$v"/>"#).fails("hydration-syntax");
    project(r#"<m k="1"/><x select=" /vnml/project/m | /vnml/project/m/@k "/>"#)
        .gives(r#"<m k="1"/><m k="1"/>"#);
}

#[test]
fn the_selected_text_stays_where_there_is_any() {
    project(
        r#"<m>1</m><n> </n><x select="/vnml/project/m">2</x><y select="/vnml/project/n">3</y>"#,
    )
    .gives("<m>1</m><n> </n><m>1</m><n>3</n>");
}

const PORTFOLIO: &str =
    r#"<portfolio><i name="A"><c>1</c></i><i name="B, (b"><c>2</c></i></portfolio>"#;

fn valuation(attributes: &str, content: &str) -> Case<'static> {
    project(&format!(
        "{PORTFOLIO}<group><valuation {attributes}>{content}</valuation></group>"
    ))
    .at("//valuation")
}

#[test]
fn use_binds_every_child_of_every_match_in_order() {
    valuation(
        r#"use="vn:link(/vnml/project/portfolio/i, c)""#,
        r#"<x select="."/>"#,
    )
    .gives("<valuation><c>1</c></valuation><valuation><c>2</c></valuation>");
    valuation(
        r#"use="vn:link(/vnml/project/portfolio, *[1])""#,
        r#"<x k="${select(./c/text())}"/>"#,
    )
    .gives(r#"<valuation><x k="1"/></valuation>"#);
    valuation(
        r#"use="vn:link(/vnml/project/portfolio/i[concat('a', @name) = 'aA'], c)""#,
        r#"<x select=".."/>"#,
    )
    .gives(r#"<valuation><i name="A"><c>1</c></i></valuation>"#);
}

#[test]
fn the_arguments_of_use_are_split_at_the_last_comma_outside_brackets_and_quotes() {
    valuation(
        r#"use="vn:link(/vnml/project/portfolio, i[@name = 'B, (b'])""#,
        "<x select='./c'/>",
    )
    .gives("<valuation><c>2</c></valuation>");
    valuation(r#"use="vn:link(/vnml/project/portfolio)""#, "").fails("hydration-syntax");
    valuation(r#"use="vn:link(/vnml/project/portfolio, )""#, "").fails("hydration-syntax");
    valuation(r#"use="vn:link(, i)""#, "").fails("hydration-syntax");
    valuation(r#"use="link(/vnml/project/portfolio, i)""#, "").fails("hydration-syntax");
    valuation(r#"use="vn:link(project, i)""#, "").fails("hydration-syntax");
    valuation(r#"use="vn:link(./x, i)""#, "").fails("hydration-no-context");
    valuation(r#"use="vn:link(/vnml/project/portfolio, i) x""#, "").fails("hydration-syntax");
}

#[test]
fn selects_below_an_element_with_use_wait_until_it_is_expanded() {
    let content = format!(
        r#"{PORTFOLIO}<group><valuation use="vn:link(/vnml/project/portfolio, i)"><x select="." k="${{select(./@name)}}"/></valuation></group>"#
    );
    project(&content).gives(&content);
}

#[test]
fn a_placeholder_is_the_whole_value_and_gives_one_thing() {
    project(r#"<s d="1">t<e f="&lt;">&amp;</e></s><m a="${select(/vnml/project/s/@d)}" b="x${select(/vnml)}" c="${select(/vnml/project/s/text())}" d="${select( //e )}"/>"#)
        .gives(r#"<s d="1">t<e f="&lt;">&amp;</e></s><m a="1" b="x${select(/vnml)}" c="t" d="&lt;e f=&quot;&amp;lt;&quot;>&amp;amp;&lt;/e>"/>"#);
    project(r#"<s d="1"/><s d="2"/><m a="${select(//@d)}"/>"#).fails("hydration-ambiguous");
    project(r#"<m a="${select(//@none)}"/>"#).fails("hydration-no-match");
    project(r#"<!--c--><m a="${select(//comment())}"/>"#).fails("hydration-no-match");
    project(r#"<m a="${select(./@d)}"/>"#).fails("hydration-no-context");
}

#[test]
fn a_placeholder_may_make_a_href() {
    project(r#"<s u="s3://b/k"/><m href="${select(/vnml/project/s/@u)}"/>"#)
        .with(&[("s3://b/k", r#"<m v="1"/>"#)])
        .gives(r#"<s u="s3://b/k"/><m v="1"/>"#);
}

fn merge(local: &str, remote: &str) -> String {
    let input = format!("<vnml><project><p href='s3://b/k'>{local}</p></project></vnml>");
    let document = Document::accept(input.as_bytes(), &Limits::default()).unwrap();
    let mut resources = CapturedResources::default();
    let remote = format!("<p>{remote}</p>");
    resources.insert("s3://b/k", remote.as_bytes()).unwrap();
    let hydrated = document.hydrate(&resources, "//p/..").unwrap();
    let inner = hydrated
        .split_once("<p>")
        .unwrap()
        .1
        .rsplit_once("</p>")
        .unwrap()
        .0;
    inner.to_owned()
}

#[test]
fn counterparts_are_by_name_then_id_then_order() {
    assert_eq!(
        merge("<a name=''/>", "<a/><a name='' k='1'/>"),
        r#"<a name="" k="1"></a><a/>"#
    );
    assert_eq!(
        merge("<a name='z' id='1'/>", "<a id='1' k='1'/>"),
        r#"<a id="1" k="1" name="z"></a>"#
    );
    assert_eq!(
        merge("<a l='1'/><b/><a l='2'/>", "<a r='1'/><a r='2'/><a r='3'/>"),
        r#"<a r="1" l="1"></a><b/><a r="2" l="2"></a><a r="3"/>"#
    );
    assert_eq!(
        merge(
            "<a name='x' l='1'/><a name='x' l='2'/>",
            "<a name='x' r='1'/><a name='x' r='2'/>"
        ),
        r#"<a name="x" r="1" l="1"></a><a name="x" r="2" l="2"></a>"#
    );
}

#[test]
fn comments_and_instructions_of_both_sides_are_kept() {
    assert_eq!(
        merge("<!--l--><a/><?l x?>", "<!--r--><a k='1'/><?r y?>"),
        r#"<!--r--><!--l--><a k="1"></a><?r y?><?l x?>"#
    );
}

#[test]
fn mixed_text_of_the_other_side_is_not_lost() {
    assert_eq!(merge("<a/>", "pre<a/>mid<b/>post"), "pre<a></a>mid<b/>post");
    assert_eq!(
        merge("own<a/>after", "pre<a/>mid<b/>post"),
        "own<a></a>after<b/>post"
    );
}

#[test]
fn merged_elements_of_contradicting_namespaces_stay_well_formed() {
    project(
        r#"<q:m xmlns:q="urn:a" q:k="1"><q:i/></q:m>
        <group><valuation><x xmlns:q="urn:b" q:k="2" select="/vnml/project/*[1]"><q:i/></x></valuation></group>"#,
    )
    .at("//valuation")
    .gives(r#"<valuation><q:m xmlns:q="urn:a" xmlns:ns1="urn:b" q:k="1" ns1:k="2"><q:i xmlns:q="urn:b"/><q:i/></q:m></valuation>"#);
    project(r#"<m/><group><valuation><x select="/vnml/project/m"><z xmlns="urn:y"/></x></valuation></group>"#)
        .at("//valuation")
        .gives(r#"<valuation><m><z xmlns="urn:y"/></m></valuation>"#);
}

#[test]
fn references_of_a_foreign_vocabulary_are_data() {
    project(
        r#"<m a="1"/><group><valuation><f:leg xmlns:f="urn:fpml" href="trade1" select="/vnml/project/m" use="x" k="${select(/vnml/project/m/@a)}"/></valuation></group>"#,
    )
    .at("//valuation")
    .gives(r#"<valuation><f:leg xmlns:f="urn:fpml" href="trade1" select="/vnml/project/m" use="x" k="${select(/vnml/project/m/@a)}"/></valuation>"#);
}

#[test]
fn an_error_names_the_element_the_expression_and_the_reason() {
    let error = project(r#"<m name="M1" select="/vnml/none"/>"#)
        .run()
        .unwrap_err();
    let expected = r#"<m name="M1">: '/vnml/none': it gives no element; exactly one is expected"#;
    assert_eq!(error.to_string(), expected);
}

#[test]
fn an_expression_that_visits_too_much_is_too_costly() {
    let many = "<a/>".repeat(6000);
    project(&format!(
        r#"{many}<x select="/vnml/project[count(//*[count(//*) > 1]) > 9]"/>"#
    ))
    .fails("hydration-too-costly");
}

#[test]
fn a_valuations_href_may_bring_the_use_that_expands_it() {
    let document = format!(
        "<vnml><project>{PORTFOLIO}<group><valuation href='s3://b/v'/></group></project></vnml>"
    );
    let document = Document::accept(document.as_bytes(), &Limits::default()).unwrap();
    let mut resources = CapturedResources::default();
    let uris = vec!["s3://b/v".to_owned()];
    let asked = document.count_tasks(&resources, 0, Effort::Whole);
    assert_eq!(asked, Err(HydrationError::Missing { uris }));
    let remote =
        "<valuation use='vn:link(/vnml/project/portfolio, i)'><x select='./c'/></valuation>";
    resources.insert("s3://b/v", remote.as_bytes()).unwrap();
    assert_eq!(document.count_tasks(&resources, 0, Effort::Whole), Ok(2));
    let tasks = document.tasks(
        &resources,
        0,
        TaskNumber::up_to(2),
        usize::MAX,
        Effort::Whole,
    );
    let tasks: Vec<String> = tasks
        .unwrap()
        .into_iter()
        .map(|task| String::from_utf8(task.xml).unwrap())
        .collect();
    assert!(
        tasks[1].contains(r#"<valuation><c>2</c><vndb externalId="2"/></valuation>"#),
        "{tasks:?}"
    );
}

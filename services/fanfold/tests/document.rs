//! `fanfold document …` as a user calls it: without any server.

#![allow(clippy::unwrap_used)] // A broken case must stop the test.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn fanfold(arguments: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fanfold"))
        .arg("document")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(stdin.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

#[track_caller]
fn prints(arguments: &[&str], stdin: &str) -> String {
    let output = fanfold(arguments, stdin);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The error output of a command that exits with 1 and prints nothing.
#[track_caller]
fn fails(arguments: &[&str], stdin: &str) -> String {
    let output = fanfold(arguments, stdin);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

const LINKED: &str = "<vnml><project><p><i n='1'/><i n='2'/></p>
    <group name='a'><valuation use='vn:link(/vnml/project/p, i)'><x select='.'/></valuation></group>
    <group name='b'><valuation use='vn:link(/vnml/project/group[1], valuation)'><y select='./price'/></valuation></group>
    <m href='s3://bucket/m.xml'/></project></vnml>";

#[test]
fn a_check_says_what_a_document_would_become() {
    let shown = prints(&["check", "-"], LINKED);
    let expected = "accepted\ngroups: 2\ngroup 0 (a): 1 valuations, 2 tasks\n\
        group 1 (b): 1 valuations, tasks unknown until the groups before it end\n\
        references: 1\n  s3://bucket/m.xml\n";
    assert_eq!(shown, expected);
}

#[test]
fn a_check_prints_no_character_that_a_terminal_would_take_for_a_command() {
    let hostile = "<vnml><project><group name='a&#x9b;2J&#x202e;&#10;accepted'>\
                   <valuation/></group></project></vnml>";
    for arguments in [&["check", "-"][..], &["check", "--json", "-"]] {
        let shown = prints(arguments, hostile);
        assert!(!shown.contains(['\u{9b}', '\u{202e}']), "{shown:?}");
        assert!(shown.contains("u202e"), "{shown:?}");
        assert!(
            !shown
                .lines()
                .skip(1)
                .any(|line| line.starts_with("accepted"))
        );
    }
}

#[test]
fn a_check_says_where_a_document_is_wrong() {
    let message = fails(&["check", "-"], "<vnml>\n <project></vnml>");
    assert!(message.contains("line 2, column"), "{message}");
    let message = fails(&["check", "-"], "<a/>");
    assert!(
        message.contains("<vnml> is expected (line 1, column 1)"),
        "{message}"
    );
    fails(&["check", "/none/such.xml"], "");
}

#[test]
fn hydrating_prints_the_element_with_resources_from_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.xml"), "<m v='1'/>").unwrap();
    let resources = folder.path().to_str().unwrap();
    let shown = prints(&["hydrate", "-", "--resources", resources], LINKED);
    assert!(shown.contains(r#"<m v="1"></m>"#), "{shown}");
    let shown = prints(
        &["hydrate", "-", "--target", "//group[1]/valuation"],
        LINKED,
    );
    let expected = "<hydrated><valuation><i n=\"1\"></i></valuation><valuation><i n=\"2\"></i></valuation></hydrated>\n";
    assert_eq!(shown, expected);
    let message = fails(&["hydrate", "-"], LINKED);
    assert!(message.contains("--resources"), "{message}");
    let leading_out = LINKED.replace("bucket/m.xml", "bucket/../m.xml");
    fails(&["hydrate", "-", "--resources", resources], &leading_out);
}

fn result(folder: &Path, number: usize) {
    let result = format!(
        "<vnml><project><group><valuation><price>{number}</price></valuation></group></project></vnml>"
    );
    std::fs::write(folder.join(format!("result-0-{number}.xml")), result).unwrap();
}

#[test]
fn task_documents_are_made_with_the_earlier_results_in_place() {
    let folder = tempfile::tempdir().unwrap();
    result(folder.path(), 1);
    let results = folder.path().to_str().unwrap();
    let message = fails(
        &["tasks", "-", "--group", "1", "--results", results],
        LINKED,
    );
    assert!(message.contains("result-0-2.xml"), "{message}");
    result(folder.path(), 2);
    let all = prints(
        &["tasks", "-", "--group", "1", "--results", results],
        LINKED,
    );
    assert_eq!(all.matches("<vndb externalId").count(), 2, "{all}");
    let second = prints(
        &[
            "tasks",
            "-",
            "--group",
            "1",
            "--task",
            "2",
            "--results",
            results,
        ],
        LINKED,
    );
    assert!(
        second.contains("<price>2</price><vndb externalId=\"2\"/>"),
        "{second}"
    );
    fails(&["tasks", "-", "--group", "1"], LINKED);
    fails(&["tasks", "-", "--group", "0", "--task", "3"], LINKED);
    fails(&["tasks", "-", "--group", "2"], LINKED);
}

//! `docs/failures.md` lists every failure code as the code has it.

use domain::{FailureCode, Scope};

const PAGE: &str = include_str!("../../docs/failures.md");

#[test]
fn the_page_lists_every_failure_code_with_its_meaning() {
    let rows = FailureCode::ALL.iter().map(|code| {
        let scope = match code.scope() {
            Scope::Request => "request",
            Scope::Attempt => "attempt",
            Scope::Both => "request, attempt",
        };
        format!("| `{code}` | {scope} | {} |\n", code.meaning())
    });
    let table = rows.collect::<String>();
    let whole = format!("| code | where | means |\n|---|---|---|\n{table}\n");
    assert!(PAGE.contains(&whole), "the table is to be:\n{whole}");
}

#[test]
fn a_code_is_found_by_its_text() {
    for code in FailureCode::ALL {
        assert_eq!(FailureCode::of(code.as_str()), Some(*code));
    }
    assert_eq!(FailureCode::of("exit-1"), None);
}

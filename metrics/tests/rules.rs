//! The alerts of `deploy/prometheus` name metrics that exist, have tests both ways and a runbook,
//! and hold before promtool.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use metrics::catalogue;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn rules() -> String {
    text("deploy/prometheus/rules/alerts.yaml")
        + &text("deploy/prometheus/rules/service-levels.yaml")
}

fn alerts() -> Vec<String> {
    let rules = rules();
    let named = |line: &str| line.trim().strip_prefix("- alert: ").map(str::to_owned);
    rules.lines().filter_map(named).collect()
}

#[test]
fn every_alert_has_a_runbook_that_says_what_it_means_where_to_look_what_to_do_and_how_to_undo_it() {
    let runbooks = text("docs/runbooks.md");
    let headings: Vec<&str> = runbooks.split("\n## ").skip(1).collect();
    let alerts = alerts();
    assert!(alerts.len() > 25, "{alerts:?}");
    for alert in &alerts {
        let book = headings
            .iter()
            .find(|book| book.lines().next() == Some(alert));
        let book = book.unwrap_or_else(|| panic!("docs/runbooks.md has no heading {alert}"));
        for part in [
            "- **Means:** ",
            "- **Look:** ",
            "- **Do:** ",
            "- **Undo:** ",
        ] {
            assert!(book.contains(part), "{alert} lacks {part}");
        }
        let anchor = format!("docs/runbooks.md#{}", alert.to_lowercase());
        assert!(rules().contains(&anchor), "{anchor}");
    }
    assert_eq!(headings.len(), alerts.len(), "a runbook has no alert");
}

/// The names of metrics in an expression.
fn names(rules: &str) -> BTreeSet<String> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = rules.split(|c| !is_of_name(c));
    let prefixes = [
        "fanfold_",
        "http_server_",
        "process_",
        "db_client_",
        "tokio_",
    ];
    let names = words.filter(|word| prefixes.iter().any(|prefix| word.starts_with(prefix)));
    let bare = |name: &str| {
        let endings = ["_bucket", "_count", "_sum"];
        let bare = endings.iter().find_map(|ending| name.strip_suffix(ending));
        bare.unwrap_or(name).to_owned()
    };
    names.map(bare).collect()
}

#[test]
fn every_metric_in_the_rules_and_in_the_runbooks_exists() {
    let known: BTreeSet<String> = catalogue().iter().map(|e| e.name.to_owned()).collect();
    let wanted = names(&(rules() + &text("docs/runbooks.md")));
    assert!(wanted.len() > 30, "{wanted:?}");
    let unknown: Vec<_> = wanted.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn promtool_finds_that_every_alert_fires_where_it_should_and_is_quiet_where_it_should_be() {
    let tests = [
        "deploy/prometheus/tests/alerts.yaml",
        "deploy/prometheus/tests/alerts-of-days.yaml",
    ];
    let all: String = tests.iter().map(|path| text(path)).collect();
    for alert in alerts() {
        assert!(all.contains(&format!("- name: {alert} fires")), "{alert}");
        let always = alert == "FanfoldWatchdog";
        assert!(
            always || all.contains(&format!("- name: {alert} is quiet")),
            "{alert}"
        );
    }
    promtool(&["check", "rules", "deploy/prometheus/rules/alerts.yaml"]);
    promtool(&[
        "check",
        "rules",
        "deploy/prometheus/rules/service-levels.yaml",
    ]);
    promtool(&["test", "rules", tests[0], tests[1]]);
}

fn promtool(arguments: &[&str]) {
    let own = root().join(".tools/bin/promtool");
    let program = if own.exists() { own } else { "promtool".into() };
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output();
    let output = output.unwrap_or_else(|error| panic!("promtool: {error}: run `make tools`"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

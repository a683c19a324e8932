//! The dashboards of `deploy/grafana` are whole, link to each other, and ask for metrics that exist.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use metrics::catalogue;
use serde_json::Value;

const BOARDS: [&str; 3] = ["fanfold-service", "fanfold-on-call", "fanfold-capacity"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn board(uid: &str) -> Value {
    let path = root().join(format!("deploy/grafana/{uid}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The panels that have queries, with their titles.
fn queries(board: &Value) -> Vec<(String, Vec<String>)> {
    let panels = list(&board["panels"]).iter();
    let panels = panels.filter(|panel| panel["type"] != "row");
    let of_panel = |panel: &Value| {
        let targets = list(&panel["targets"]).iter();
        let exprs = targets.map(|target| target["expr"].as_str().unwrap().to_owned());
        (panel["title"].as_str().unwrap().to_owned(), exprs.collect())
    };
    panels.map(of_panel).collect()
}

/// The names in a query that look like those of metrics or of recorded rules.
fn names(query: &str) -> BTreeSet<String> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = query.split(|c| !is_of_name(c));
    let prefixes = [
        "fanfold_",
        "fanfold:",
        "http_server_",
        "process_",
        "db_client_",
        "tokio_",
        "jemalloc_",
    ];
    let named = words.filter(|word| prefixes.iter().any(|prefix| word.starts_with(prefix)));
    named.map(str::to_owned).collect()
}

#[test]
fn every_board_keeps_its_uid_and_links_to_the_others_and_to_the_console() {
    for uid in BOARDS {
        let board = board(uid);
        assert_eq!(board["uid"], uid);
        let links = list(&board["links"]).iter();
        let urls: Vec<&str> = links.map(|link| link["url"].as_str().unwrap()).collect();
        for other in BOARDS.iter().filter(|other| **other != uid) {
            assert!(
                urls.contains(&format!("/d/{other}").as_str()),
                "{uid}: {urls:?}"
            );
        }
        assert!(urls.contains(&"${console}/console/"), "{uid}: {urls:?}");
        let variables = list(&board["templating"]["list"]).iter();
        let variables: Vec<&str> = variables.map(|v| v["name"].as_str().unwrap()).collect();
        assert_eq!(variables[..2], ["datasource", "job"], "{uid}");
        let mut ids = BTreeSet::new();
        for panel in list(&board["panels"]) {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{uid}: {panel}");
            if panel["type"] != "row" {
                assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
            }
        }
    }
}

#[test]
fn no_panel_lies_on_another_or_beyond_the_edge() {
    for uid in BOARDS {
        let board = board(uid);
        let mut taken = BTreeSet::new();
        for panel in list(&board["panels"]) {
            let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{uid}: {}", panel["title"]);
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(taken.insert((x, y)), "{uid}: {}", panel["title"]);
                }
            }
        }
    }
}

#[test]
fn every_metric_in_the_boards_exists_and_every_part_of_the_catalogue_is_shown() {
    let rules = ["alerts.yaml", "service-levels.yaml"]
        .map(|name| std::fs::read_to_string(root().join("deploy/prometheus/rules").join(name)));
    let rules: String = rules.into_iter().map(Result::unwrap).collect();
    let all = catalogue();
    let known: BTreeSet<&str> = all.iter().map(|entry| entry.name).collect();
    let mut shown = BTreeSet::new();
    for uid in BOARDS {
        for (title, queries) in queries(&board(uid)) {
            assert!(!queries.is_empty(), "{uid}: {title} asks for nothing");
            for name in queries.iter().flat_map(|query| names(query)) {
                let endings = ["_bucket", "_count", "_sum"];
                let bare = endings.iter().find_map(|ending| name.strip_suffix(ending));
                let bare = bare.unwrap_or(&name).to_owned();
                let recorded = rules.contains(&format!("- record: {name}\n"));
                assert!(
                    recorded || known.contains(bare.as_str()),
                    "{uid}: {title}: {name}"
                );
                shown.insert(bare);
            }
        }
    }
    let not_shown: Vec<_> = known
        .iter()
        .filter(|name| !shown.contains(**name))
        .collect();
    let left_out = [
        // Text, not figures; and what only one build or one purpose has.
        "fanfold_settings_info",
        "fanfold_sampled_timestamp_seconds",
        "fanfold_projected_commit_timestamp_seconds",
        "fanfold_feed_events_total",
        "fanfold_verified_requests_total",
        "fanfold_views_removed_total",
        "fanfold_href_fetch_duration_seconds",
        "jemalloc_allocated_bytes",
        "jemalloc_active_bytes",
        "jemalloc_resident_bytes",
    ];
    let forgotten: Vec<_> = not_shown
        .iter()
        .filter(|name| !left_out.contains(name))
        .collect();
    assert!(forgotten.is_empty(), "no board shows {forgotten:?}");
}

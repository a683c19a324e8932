//! The allowed directions of dependencies, checked against `cargo metadata`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

type Dependencies = BTreeMap<String, BTreeSet<String>>;

/// The dependencies of each package of the workspace, without dev-dependencies.
fn dependencies() -> Dependencies {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|package| {
            let all = package["dependencies"].as_array().unwrap().iter();
            let real = all.filter(|dependency| dependency["kind"].is_null());
            (
                text(&package["name"]),
                real.map(|d| text(&d["name"])).collect(),
            )
        })
        .collect()
}

/// The packages of the workspace that a package may use.
const MAY_USE: [(&str, &[&str]); 6] = [
    ("domain", &[]),
    ("metrics", &[]),
    ("nats", &["domain", "metrics"]),
    ("projections", &["domain", "metrics"]),
    // `history` answers with data. It has no settings, no terminal and no HTTP.
    ("history", &["domain", "nats", "projections"]),
    // `operations` executes the commands of any caller. It has no terminal and no HTTP either.
    (
        "operations",
        &["domain", "history", "nats", "projections", "runtime"],
    ),
];
/// The services that run as roles or tools. None may use another.
const SERVICES: [&str; 9] = [
    "api",
    "fanfold-console",
    "orchestrator",
    "worker",
    "worker-check",
    "projector",
    "replay",
    "tracer",
    "webhooks",
];

#[test]
fn dependencies_point_inwards_only() {
    let all = dependencies();
    let own: BTreeSet<&String> = all.keys().collect();
    for (package, allowed) in MAY_USE {
        let used: Vec<_> = all[package].iter().filter(|d| own.contains(d)).collect();
        assert!(
            used.iter().all(|d| allowed.contains(&d.as_str())),
            "{package} uses {used:?}"
        );
    }
    for service in SERVICES {
        let Some(used) = all.get(service) else {
            continue;
        };
        let others: Vec<_> = used
            .iter()
            .filter(|d| SERVICES.contains(&d.as_str()))
            .collect();
        assert!(others.is_empty(), "{service} uses {others:?}");
    }
}

/// The libraries for a terminal and for HTTP. The crates of questions and commands may not use
/// them.
const OF_FACES: [&str; 6] = ["axum", "clap", "hyper", "maud", "terminal_size", "utoipa"];

#[test]
fn questions_and_commands_depend_on_no_api_or_cli() {
    let all = dependencies();
    for package in ["history", "operations"] {
        let faces: Vec<_> = OF_FACES
            .iter()
            .filter(|face| all[package].contains(**face))
            .collect();
        assert!(faces.is_empty(), "{package} uses {faces:?}");
    }
}

#[test]
fn one_crate_names_nats_one_names_redis_and_one_names_prometheus() {
    for (library, owner) in [
        ("async-nats", "nats"),
        ("redis", "projections"),
        ("prometheus-client", "metrics"),
    ] {
        for (package, used) in dependencies() {
            let allowed =
                package == owner || ["harness", "bench", "chaos"].contains(&package.as_str());
            assert!(
                allowed || !used.contains(library),
                "{package} names {library}"
            );
        }
    }
}

#[test]
fn the_domain_has_no_clock_no_io_and_no_async() {
    let allowed = [
        "cqrs-es",
        "jiff",
        "quick-xml",
        // Derives the schemas of the feed from its types.
        "schemars",
        "serde",
        "serde_json",
        "thiserror",
        "uuid",
    ];
    let used = &dependencies()["domain"];
    let more: Vec<_> = used
        .iter()
        .filter(|d| !allowed.contains(&d.as_str()))
        .collect();
    assert!(more.is_empty(), "the domain has new dependencies: {more:?}");
}

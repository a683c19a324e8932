//! The directions of the house, read from `cargo metadata`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

type Dependencies = BTreeMap<String, BTreeSet<String>>;

/// The dependencies of each package of the workspace, those for tests only left out.
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

/// Which packages of the workspace each of them may use.
const MAY_USE: [(&str, &[&str]); 5] = [
    ("domain", &[]),
    ("nats", &["domain"]),
    ("projections", &["domain"]),
    // It answers with data. It has no settings, no terminal and no HTTP.
    ("history", &["domain", "nats", "projections"]),
    // It carries out what people ask for, whoever asks: it has no terminal and no HTTP either.
    (
        "operations",
        &["domain", "history", "nats", "projections", "runtime"],
    ),
];
/// The services that run as roles or tools: none may use another.
const SERVICES: [&str; 6] = [
    "api",
    "orchestrator",
    "worker",
    "projector",
    "replay",
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

/// The libraries of a terminal and of HTTP, which the ring of questions and commands does not know.
const OF_FACES: [&str; 5] = ["axum", "clap", "hyper", "terminal_size", "utoipa"];

#[test]
fn questions_and_commands_know_no_face() {
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
fn one_crate_names_nats_and_one_names_redis() {
    for (library, owner) in [("async-nats", "nats"), ("redis", "projections")] {
        for (package, used) in dependencies() {
            let allowed = package == owner || ["harness", "bench"].contains(&package.as_str());
            assert!(
                allowed || !used.contains(library),
                "{package} names {library}"
            );
        }
    }
}

#[test]
fn the_domain_has_no_clock_no_io_and_nothing_that_waits() {
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

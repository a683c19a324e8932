//! Each permission is taken away in turn, while the role runs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use domain::request::RequestId;
use harness::{Program, until};
use reqwest::StatusCode;

use super::scene::{AT_REDIS, Scene, allow, permissions, printed};
use crate::document;

/// How soon an operator must see in `/readyz` what is missing.
const SHOWN_WITHIN: Duration = Duration::from_secs(10);
/// The roles, which have an admin listener.
const ROLES: [&str; 5] = ["orchestrator", "worker", "projector", "webhooks", "api"];
/// How many permissions of each role are taken away where nobody asks for all of them.
const SOME: usize = 4;

/// Whether all permissions are taken away, as `make permissions-test` does. Each takes seconds.
fn all_are_wanted() -> bool {
    std::env::var("PERMISSIONS").is_ok_and(|which| which == "all")
}

/// The subjects in a fragment of configuration, each with the number of its line.
fn subjects(fragment: &str) -> Vec<(usize, String)> {
    let lines = fragment.lines().enumerate();
    let subjects = lines.filter_map(|(number, line)| {
        let subject = line.trim().strip_prefix('"')?.strip_suffix('"')?;
        Some((number, subject.to_owned()))
    });
    subjects.collect()
}

/// A fragment without one of its subjects. Another stands in its place, because an empty list would
/// permit everything.
fn without(fragment: &str, line: usize) -> String {
    let lines = fragment.lines().enumerate();
    let left = lines.map(|(number, text)| {
        let text = if number == line { "\"nothing\"" } else { text };
        format!("{text}\n")
    });
    left.collect()
}

/// Every `n`-th of some things, so that they are few; all of them where that is wanted.
fn chosen<T: Clone>(all: &[T]) -> Vec<T> {
    if all_are_wanted() {
        return all.to_vec();
    }
    let step = all.len().div_ceil(SOME).max(1);
    all.iter().step_by(step).cloned().collect()
}

async fn denied(program: &Program) -> String {
    let ready = program.admin().get("/readyz").await;
    ready.json()["denied"].to_string()
}

/// Waits until the role tells that it lacks something, and returns how long that took.
async fn until_told(program: &Program, role: &str, subject: &str) {
    let begun = Instant::now();
    let quoted = [format!(" {subject}\""), format!("\\\"{subject}")];
    until(&format!("{role} tells that it lacks {subject}"), || async {
        let said = denied(program).await;
        quoted.iter().any(|quoted| said.contains(quoted))
    })
    .await;
    let took = begun.elapsed();
    assert!(
        took < SHOWN_WITHIN,
        "{role} told of {subject} after {took:?}"
    );
}

#[tokio::test]
async fn each_permission_that_is_taken_away_at_nats_is_named_within_ten_seconds() {
    let scene = Scene::start().await;
    let whole = permissions().await;
    let per_role: BTreeMap<&str, Vec<(usize, String)>> = ROLES
        .iter()
        .map(|role| (*role, chosen(&subjects(&whole[role]))))
        .collect();
    let rounds = per_role.values().map(Vec::len).max().unwrap_or(0);
    for round in 0..rounds {
        // Each role has a user of its own, so all roles lose one permission at the same time.
        let mut less = whole.clone();
        for (role, all) in &per_role {
            if let Some((line, _)) = all.get(round) {
                less.insert(*role, without(&whole[role], *line));
            }
        }
        scene.reload(&less).await;
        for (role, all) in &per_role {
            if let Some((_, subject)) = all.get(round) {
                until_told(&scene.roles[role], role, subject).await;
            }
        }
    }
    scene.reload(&whole).await;
    for (role, program) in &scene.roles {
        until(&format!("{role} is ready again"), || async {
            program.admin().ready().await
        })
        .await;
    }
    let answer = scene.roles["api"]
        .client()
        .submit(&document(1, 1), "sync=Y")
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
}

#[tokio::test]
async fn each_permission_that_is_taken_away_at_redis_is_named_within_ten_seconds() {
    let scene = Scene::start().await;
    for role in AT_REDIS.into_iter().filter(|role| ROLES.contains(role)) {
        let printed = printed(role, "redis").await;
        let rules: Vec<&str> = printed.split_whitespace().collect();
        for taken in chosen(&rules) {
            let left = rules.iter().filter(|rule| **rule != taken).copied();
            allow(&scene.world, role, left).await;
            let (begun, program) = (Instant::now(), &scene.roles[role]);
            let named = format!("\"{}\"", taken.trim_start_matches("%R"));
            until(&format!("{role} tells that it lacks {taken}"), || async {
                denied(program).await.contains(&named)
            })
            .await;
            assert!(begun.elapsed() < SHOWN_WITHIN, "{role} {taken}");
        }
        allow(&scene.world, role, rules.iter().copied()).await;
    }
}

#[tokio::test]
async fn a_denial_is_the_error_of_the_call_and_nothing_is_tried_again_for_it() {
    let scene = Scene::start().await;
    let whole = permissions().await;
    let less = |user: &'static str, subject: &str| {
        let mut less = whole.clone();
        let line = subjects(&whole[user])
            .into_iter()
            .find(|(_, at)| at == subject);
        let (line, _) = line.unwrap();
        less.insert(user, without(&whole[user], line));
        less
    };
    let client = scene.roles["api"].client();

    scene.reload(&less("api", "requests.*.*")).await;
    until_told(&scene.roles["api"], "api", "requests.*.*").await;
    let refused = client.submit(&document(1, 1), "").await;
    assert_eq!(
        refused.status,
        StatusCode::INTERNAL_SERVER_ERROR,
        "{}",
        refused.body
    );
    assert_eq!(
        refused.json()["code"],
        "broker-permission",
        "{}",
        refused.body
    );
    assert_eq!(refused.header("retry-after"), "");
    assert_eq!(client.get("/readyz").await.json()["status"], "denied");

    scene
        .reload(&less("api", "$JS.API.DIRECT.GET.DEAD_LETTERS"))
        .await;
    until_told(
        &scene.roles["api"],
        "api",
        "$JS.API.DIRECT.GET.DEAD_LETTERS",
    )
    .await;
    let refused = client.get("/dead-letters").await;
    assert_eq!(
        refused.json()["code"],
        "broker-permission",
        "{}",
        refused.body
    );

    // A worker that cannot report takes no tasks, so nothing is executed in vain.
    scene.reload(&less("worker", "reports.>")).await;
    until_told(&scene.roles["worker"], "worker", "reports.>").await;
    let calls = scene.valuer.calls_so_far();
    let waiting = client.submit(&document(1, 1), "").await.id();
    client.until_status(&waiting, "running").await;
    let orchestrator = &scene.roles["orchestrator"];
    until("the task is in the queue", || async {
        crate::messages(&scene.world, "TASKS").await == 1
    })
    .await;
    assert!(orchestrator.admin().ready().await);
    assert_eq!(scene.valuer.calls_so_far(), calls);
    scene.reload(&whole).await;
    client.until_status(&waiting, "succeeded").await;
    assert_eq!(scene.valuer.calls_so_far(), calls + 1);

    // A projector that may not publish stops no view: it goes on where it was.
    scene.reload(&less("projector", "lifecycle.>")).await;
    until_told(&scene.roles["projector"], "projector", "lifecycle.>").await;
    let id = client.submit(&document(1, 1), "").await.id();
    client.until_status(&id, "succeeded").await;
    scene.reload(&whole).await;
    until("the feed has its end", || async {
        let feed = scene.world.jetstream().await.get_stream("LIFECYCLE").await;
        let request: RequestId = id.parse().unwrap();
        let at = format!("lifecycle.succeeded.{}", request.partition());
        let last = feed.unwrap().get_last_raw_message_by_subject(&at).await;
        let of = last
            .ok()
            .and_then(|last| last.headers.get("ce-subject").cloned());
        of.is_some_and(|of| of.as_str() == id)
    })
    .await;
    let ready = scene.roles["projector"].admin().get("/readyz").await.json();
    assert_eq!(ready["stoppedViews"], serde_json::json!([]), "{ready}");
}

#[tokio::test]
async fn a_start_without_a_permission_ends_with_one_error_that_names_all_that_are_missing() {
    let scene = Scene::start().await;
    let mut less = permissions().await;
    for subject in ["$JS.API.STREAM.INFO.TASKS", "reports.>"] {
        let own = &less["worker"];
        let line = subjects(own).into_iter().find(|(_, at)| at == subject);
        let own = without(own, line.unwrap().0);
        less.insert("worker", own);
    }
    scene.reload(&less).await;
    let said = scene.fanfold("worker", &["worker"]).await.unwrap_err();
    for subject in ["publish $JS.API.STREAM.INFO.TASKS", "publish reports.>"] {
        assert!(said.contains(subject), "{said}");
    }
    assert!(said.contains("NATS does not allow it"), "{said}");
}

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use harness::{Reply, Valuer, World, result_of};
use reqwest::StatusCode;
use serde_json::json;

use crate::{document, fanfold, history, nothing_is_stuck, post, up};

/// A service that refuses some tasks until it is repaired.
async fn breakable(bad: impl Fn(u32) -> bool + Send + Sync + 'static) -> (Valuer, Arc<AtomicBool>) {
    let broken = Arc::new(AtomicBool::new(true));
    let (bad, is_broken) = (Arc::new(bad), broken.clone());
    let valuer = Valuer::start(move |call| {
        let fails = bad(call.task) && is_broken.load(Ordering::SeqCst);
        async move {
            if fails {
                Reply::Status(422, "no such curve".into())
            } else {
                Reply::Result(result_of(&call))
            }
        }
    });
    (valuer.await, broken)
}

#[tokio::test]
async fn a_request_that_may_outlive_its_log_is_not_redriven() {
    let world = World::start().await;
    let (valuer, _) = breakable(|_| true).await;
    // With these settings, the log may lose a moment-old request within a minute after its run must
    // end.
    let ages = [
        ("LOG_MAX_AGE_SECONDS", "3600"),
        ("REQUEST_TTL_SECONDS", "3600"),
        ("REQUEST_TIMEOUT_MS", "3540000"),
    ];
    let program = up(&world, &valuer, &ages).await;
    let client = program.client();
    let id = client.submit(&document(1, 1), "").await.id();
    client.until_status(&id, "failed").await;
    let why = json!({ "reason": "again", "by": "anna" });
    let refused = post(&client, &format!("/valuation/{id}/redrive"), &why).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
    assert_eq!(refused.json()["code"], "too-old", "{}", refused.body);
    let status = client.status(&id).await.json();
    assert_eq!(status["status"], "failed");
}

#[tokio::test]
async fn of_a_thousand_tasks_thirty_seven_fail_and_only_those_are_redriven() {
    let world = World::start().await;
    let (valuer, broken) = breakable(|task| task % 27 == 1 && task < 1000).await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let id = client.submit(&document(1, 1000), "").await.id();
    let status = client.until_status(&id, "failed").await;
    assert_eq!(status["failedTasks"], 37);
    assert_eq!(status["groups"][0]["completed"], 963, "siblings finish");
    let failure = client.results(&id).await.json()["failure"].clone();
    let tasks = failure["tasks"].as_array().unwrap();
    assert_eq!(tasks.len(), 37);
    assert_eq!(tasks[0]["attempts"][0]["code"], "http-422");
    assert_eq!(failure["fingerprint"], "tasks-failed+http-422");
    assert_eq!(failure["redriveMayHelp"], true);

    broken.store(false, Ordering::SeqCst);
    let why = json!({ "reason": "the curve is there now", "by": "anna" });
    let redriven = post(&client, &format!("/valuation/{id}/redrive"), &why).await;
    assert_eq!(redriven.status, StatusCode::ACCEPTED, "{}", redriven.body);
    assert_eq!(redriven.json()["tasks"].as_array().unwrap().len(), 37);
    let status = client.until_status(&id, "succeeded").await;
    assert_eq!(status["failedTasks"], 0);
    assert_eq!(
        valuer.calls().len(),
        1000 + 37,
        "what has a result is not valued again"
    );
    let results = client.results(&id).await;
    assert!(results.body.contains("101.00") && results.body.contains("1100.00"));
    let history = history(&world, &id).await;
    let count = |name: &str| history.iter().filter(|event| *event == name).count();
    assert_eq!(
        (count("failed"), count("redriven"), count("succeeded")),
        (1, 1, 1)
    );
    nothing_is_stuck(&world).await;
}

#[tokio::test]
async fn a_redrive_of_a_running_or_succeeded_request_or_without_a_reason_is_refused() {
    let world = World::start().await;
    let (valuer, broken) = breakable(|task| task == 1).await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let id = client.submit(&document(1, 2), "").await.id();
    client.until_status(&id, "failed").await;
    let path = format!("/valuation/{id}/redrive");

    let refused = post(&client, &path, &json!({ "reason": " " })).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(refused.json()["code"], "invalid-reason");
    let long = "x".repeat(1001);
    let refused = post(&client, &path, &json!({ "reason": long })).await;
    assert_eq!(
        refused.json()["code"],
        "invalid-reason",
        "at most 1000 characters"
    );
    let refused = post(&client, &path, &json!({ "reasons": "x" })).await;
    assert_eq!(refused.json()["code"], "invalid-body");

    broken.store(false, Ordering::SeqCst);
    let why = json!({ "reason": "again" });
    let both = futures::join!(post(&client, &path, &why), post(&client, &path, &why));
    let mut statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 409], "{} {}", both.0.body, both.1.body);
    client.until_status(&id, "succeeded").await;
    let refused = post(&client, &path, &why).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(refused.json()["code"], "not-failed");
    assert_eq!(refused.header("content-type"), "application/problem+json");

    let unknown = "/valuation/01a20d07-ceb0-71d2-8a80-d677f6148452/redrive";
    assert_eq!(
        post(&client, unknown, &why).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_failed_request_is_redriven_from_the_command_line_until_it_succeeds() {
    let world = World::start().await;
    let (valuer, broken) = breakable(|task| task == 2).await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let id = client.submit(&document(2, 3), "").await.id();
    client.until_status(&id, "failed").await;
    for letters in [2, 3] {
        let said = fanfold(&world, &["redrive", &id, "--reason", "perhaps now"]).await;
        assert!(said.ok, "{}", said.err);
        harness::until("another letter", || async {
            crate::messages(&world, "DEAD_LETTERS").await == letters
        })
        .await;
        client.until_status(&id, "failed").await;
    }
    broken.store(false, Ordering::SeqCst);
    let said = fanfold(&world, &["redrive", &id, "--reason", "mended"]).await;
    assert!(said.ok, "{}", said.err);
    client.until_status(&id, "succeeded").await;
    let said = fanfold(&world, &["redrive", &id, "--reason", "once more"]).await;
    assert!(!said.ok);
    assert!(
        said.err.contains("only a failed request can be redriven"),
        "{}",
        said.err
    );
    let attempts: Vec<u32> = valuer
        .calls()
        .iter()
        .filter(|call| call.group == 0 && call.task == 2)
        .map(|call| call.attempt)
        .collect();
    assert_eq!(attempts, [1, 2, 3, 4], "attempts count on");
    nothing_is_stuck(&world).await;
}

use super::scene::{Scene, assert_told};
use domain::request::Sequence;

#[tokio::test]
async fn a_failed_request_is_shown_with_its_cause_first_and_verified() {
    let scene = Scene::start().await;
    let id = scene.request(&["boom"], "failed").await;
    assert_told!("show_failed", scene.replay(&["show", &id]).await.expect(0));
    assert_told!("why_failed", scene.replay(&["why", &id]).await.expect(0));
    assert_told!(
        "verify_failed",
        scene.replay(&["verify", &id]).await.expect(0)
    );
    assert_told!(
        "task_failed",
        scene.replay(&["task", &id, "0", "1"]).await.expect(0)
    );
    let shown = scene
        .replay(&["show", &id, "--json"])
        .await
        .lines()
        .remove(0);
    assert_eq!(shown["status"], "failed");
    assert_eq!(shown["viewSequence"], shown["sequence"]);
}

#[tokio::test]
async fn every_state_of_a_request_is_described() {
    let scene = Scene::start().await;
    let succeeded = scene.request(&["ok", "ok"], "succeeded").await;
    let cancelled = scene.cancelled().await;
    let redriven = scene.redriven().await;
    for (name, id) in [
        ("show_succeeded", &succeeded),
        ("show_cancelled", &cancelled),
        ("show_redriven", &redriven),
    ] {
        assert_told!(name, scene.replay(&["show", id]).await.expect(0));
    }
    let running = scene.request(&["ok", "hang"], "running").await;
    scene.settled(&running, 1).await;
    let why = scene.replay(&["why", &running]).await.expect(0);
    assert!(why.contains("1 task is with a worker now"), "{why}");
    let stuck = scene.stuck().await;
    let why = scene.replay(&["why", &stuck]).await.expect(0);
    let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        why.contains("1 task is neither in the work queue nor reported"),
        "{why}"
    );
    scene.replay(&["verify", "--all"]).await.expect(0);
}

#[tokio::test]
async fn a_request_is_shown_as_of_a_point_with_the_changes_since() {
    let scene = Scene::start().await;
    let id = scene.request(&["ok", "ok"], "succeeded").await;
    let commits = scene
        .log()
        .await
        .read(id.parse().unwrap(), Sequence::NONE)
        .await
        .unwrap();
    let (first, last) = (
        commits[0].sequence.to_string(),
        commits.last().unwrap().sequence,
    );
    let then = scene.replay(&["show", &id, "--at", &first]).await.expect(0);
    assert!(then.contains("running for"), "{then}");
    assert!(then.contains("later commit"), "{then}");
    let state = scene
        .replay(&["state", &id, "--at", &first, "--json"])
        .await;
    assert_eq!(state.lines()[0]["phase"]["Running"]["index"], 0);
    let diff = scene
        .replay(&["diff", &id, &first, &last.to_string()])
        .await
        .expect(0);
    assert!(diff.contains("- phase.Running.index = 0"), "{diff}");
    assert!(diff.contains("+ phase = \"Succeeded\""), "{diff}");
    let before = scene.replay(&["show", &id, "--at", "-1h"]).await;
    before.expect(3);
    let ended = scene.replay(&["show", &id, "--follow"]).await;
    assert!(ended.expect(0).contains("succeeded"));
}

#[tokio::test]
async fn requests_and_events_are_found_by_their_content() {
    let scene = Scene::start().await;
    let failed = scene.request(&["ok", "boom"], "failed").await;
    let fine = scene.request(&["ok"], "succeeded").await;
    let ids = |ran: &super::scene::Ran| {
        let lines = ran.lines();
        let id = |line: &serde_json::Value| line["requestId"].as_str().unwrap().to_owned();
        lines.iter().map(id).collect::<Vec<_>>()
    };
    for (filter, wanted) in [
        (["--status", "failed"], &failed),
        (["--status", "succeeded"], &fine),
        (["--code", "http-503"], &failed),
        (["--fingerprint", "tasks-failed+http-503"], &failed),
        (["--event", "succeeded"], &fine),
    ] {
        let args = [&["search", "--json", "--since", "1h"], &filter[..]].concat();
        assert_eq!(
            ids(&scene.replay(&args).await),
            std::slice::from_ref(wanted),
            "{filter:?}"
        );
    }
    for filter in [
        ["--label", "x-desk=rates"],
        ["--worker", "worker-1"],
        ["--group", "first"],
        ["--task-type", "default"],
    ] {
        let args = [&["search", "--json"], &filter[..]].concat();
        assert_eq!(ids(&scene.replay(&args).await).len(), 2, "{filter:?}");
    }
    let nothing = ["search", "--label", "x-desk=swaps"];
    scene.replay(&nothing).await.expect(3);
    let tail = ["tail", "--no-follow", "--json", "--event", "task-failed"];
    let events = scene.replay(&tail).await.lines();
    assert_eq!(events.len(), 3);
    assert!(
        events
            .iter()
            .all(|event| event["data"]["code"] == "http-503")
    );
    let summary = scene.replay(&["summary", "--json"]).await.lines().remove(0);
    assert_eq!(summary["period"]["counts"]["received"], 2);
    assert_eq!(
        summary["period"]["fingerprints"]["tasks-failed+http-503"],
        1
    );
    assert_eq!(
        summary["period"]["taskTypes"]["default"],
        serde_json::json!({"attempts": 6, "failed": 3})
    );
    assert_eq!(summary["before"]["counts"], serde_json::json!({}));
    let nothing = ["search", "--task-type", "bonds"];
    scene.replay(&nothing).await.expect(3);
    let tail = ["tail", "--no-follow", "--json", "--task-type", "default"];
    assert_eq!(scene.replay(&tail).await.lines().len(), 6);
}

#[tokio::test]
async fn exit_codes_distinguish_usage_errors_nothing_found_and_unreachable_servers() {
    let scene = Scene::start().await;
    let unknown = "01a20d07-ceb0-71d2-8a80-d677f6148452";
    scene.replay(&["show", unknown]).await.expect(3);
    scene.replay(&["show", "not-an-id"]).await.expect(1);
    scene.replay(&["verify"]).await.expect(1);
    scene.replay(&["run", "/no/such/bundle"]).await.expect(3);
    let help = scene.replay(&["--help"]).await.expect(0);
    assert!(help.contains("Exit codes"), "{help}");
    let nobody = [("NATS_URL", "nats://127.0.0.1:1")];
    scene
        .replay_with(&["show", unknown], &nobody)
        .await
        .expect(5);
}

//! The task documents that the workers received, reported by the log and proven.

use domain::request::{Event, Given};

use super::scene::Scene;

const OTHER: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn given(event: &mut Event) -> Option<&mut Option<Given>> {
    match event {
        Event::TaskSucceeded(e) => Some(&mut e.given),
        Event::TaskFailed(e) => Some(&mut e.given),
        _ => None,
    }
}

#[tokio::test]
async fn the_document_of_a_task_that_succeeded_is_proven_by_the_log() {
    let scene = Scene::start().await;
    let id = scene.request(&["ok", "late"], "succeeded").await;
    for task in [["0", "1"], ["0", "2"], ["1", "1"]] {
        let args = [&["task", &id], &task[..]].concat();
        let told = scene.replay(&args).await.expect(0);
        assert!(told.contains("verified against what was sent"), "{told}");
        assert!(told.contains("of type default\n"), "{told}");
    }
    let json = scene.replay(&["task", &id, "0", "2", "--json"]).await;
    let json = json.lines().remove(0);
    assert_eq!(json["taskType"], "default");
    let sent = json["sent"].as_array().unwrap();
    assert_eq!(sent.len(), 3, "one for each attempt: {json}");
    assert!(sent.iter().all(|sent| sent["sha256"] == json["sha256"]));
    scene
        .replay(&["verify", "--all", "--documents"])
        .await
        .expect(0);
}

#[tokio::test]
async fn a_document_that_differs_from_the_one_a_worker_received_is_reported_with_both_hashes() {
    let mut scene = Scene::start().await;
    let id = scene.request(&["ok"], "succeeded").await;
    scene.program.stop().await;
    let mut made = None;
    let bent = scene
        .copy(&id, |event| {
            if let Some(Some(given)) = given(event) {
                made.get_or_insert(given.sha256.replace(OTHER.into()).unwrap());
            }
        })
        .await;
    let made = made.unwrap();
    let told = scene.replay(&["task", &bent, "0", "1"]).await.expect(2);
    assert!(told.contains("NOT the same"), "{told}");
    assert!(told.contains(OTHER) && told.contains(&made), "{told}");
    for args in [
        &["verify", &bent, "--no-views", "--json"][..],
        &["verify", "--all", "--no-views", "--documents", "--json"],
    ] {
        let ran = scene.replay(args).await;
        assert_eq!(ran.code, 2, "{}", ran.out);
        let lines = ran.lines();
        let (counts, problems) = lines.split_last().unwrap();
        assert_eq!(problems.len(), 2, "one for each of its tasks: {}", ran.out);
        assert_eq!(problems[0]["kind"], "document");
        assert_eq!(problems[0]["requestId"], *bent);
        assert!(counts["documents"].as_u64().unwrap() >= 2);
    }
    scene
        .replay(&["verify", "--all", "--no-views"])
        .await
        .expect(0);
    let file = scene.world.folder().join("bent.fanfold");
    let file = file.to_str().unwrap();
    scene.replay(&["export", &bent, "-o", file]).await.expect(0);
    let told = scene.replay(&["run", file]).await.expect(2);
    assert!(told.contains(OTHER), "{told}");
}

#[tokio::test]
async fn a_log_without_document_hashes_is_still_read() {
    let mut scene = Scene::start().await;
    let id = scene.request(&["ok"], "succeeded").await;
    scene.program.stop().await;
    let old = scene
        .copy(&id, |event| {
            if let Some(given) = given(event) {
                *given = None;
            }
        })
        .await;
    let told = scene.replay(&["task", &old, "0", "1"]).await.expect(0);
    assert!(told.contains("nothing is recorded"), "{told}");
    assert!(
        told.contains("of type default by the settings here"),
        "{told}"
    );
    scene
        .replay(&["verify", &old, "--no-views"])
        .await
        .expect(0);
    let summary = scene.replay(&["summary", "--json"]).await.lines().remove(0);
    let types = &summary["period"]["taskTypes"];
    let two = serde_json::json!({"attempts": 2, "failed": 0});
    assert_eq!(*types, serde_json::json!({"default": two, "unknown": two}));
    let found = scene
        .replay(&["search", "--task-type", "default", "--json"])
        .await;
    let found = found.lines();
    assert_eq!(found.len(), 1, "its type is not known: {found:?}");
    assert_eq!(found[0]["requestId"], *id);
}

#[tokio::test]
async fn a_request_is_found_by_the_type_of_a_task_that_no_worker_has_ended() {
    let scene = Scene::start().await;
    let id = scene.request(&["hang"], "running").await;
    let found = scene
        .replay(&["search", "--task-type", "default", "--json"])
        .await;
    assert_eq!(found.lines()[0]["requestId"], *id);
}

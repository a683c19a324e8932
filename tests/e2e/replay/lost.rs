//! Stored data without a request, and requests without their stored data.

use domain::request::{Event, Next, RequestId};
use redis::AsyncCommands as _;

use super::scene::{Ran, Scene};

/// The findings, each as its kind and key, and the counts.
fn findings(ran: &Ran) -> (Vec<(String, String)>, serde_json::Value) {
    let mut lines = ran.lines();
    let counts = lines.pop().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let found = lines.iter().map(|l| (text(&l["kind"]), text(&l["key"])));
    (found.collect(), counts)
}

#[tokio::test]
async fn a_view_of_a_request_that_the_log_does_not_have_is_found_key_by_key() {
    let scene = Scene::start().await;
    let id = scene.request(&["ok"], "succeeded").await;
    let verify = ["verify", "--all", "--json"];
    scene.replay(&verify).await.expect(0);
    let redis = &mut scene.world.redis().await;
    let ghost = RequestId::of_key("nobody", "nothing");
    let orphans = [
        format!("cache:request:{ghost}:failure"),
        format!("cache:request:{ghost}:metadata"),
        "request:idempotency:ghost".to_owned(),
        format!("state:request:{id}:group:2"),
        format!("state:request:{ghost}"),
    ];
    let () = redis.set(&orphans[0], "{}").await.unwrap();
    let () = redis.hset(&orphans[1], "x-desk", "rates").await.unwrap();
    let () = redis.set(&orphans[2], ghost.to_string()).await.unwrap();
    let () = redis.hset(&orphans[3], "status", "running").await.unwrap();
    let () = redis.hset(&orphans[4], "status", "running").await.unwrap();
    let ran = scene.replay(&verify).await;
    assert_eq!(ran.code, 2, "{}", ran.out);
    let mut expected = orphans.map(|key| ("view".to_owned(), key)).to_vec();
    assert_eq!(findings(&ran).0, expected);
    // The fourth key is of an earlier version, and a rebuild removes it.
    let rebuild = ["rebuild", "--reason", "a test", "--yes"];
    let told = scene.replay(&rebuild).await.expect(0);
    assert!(told.contains("1 key of an earlier version"), "{told}");
    expected.remove(3);
    assert_eq!(findings(&scene.replay(&verify).await).0, expected);
    scene
        .replay(&["verify", "--all", "--no-views"])
        .await
        .expect(0);
}

#[tokio::test]
async fn a_view_that_outlives_its_request_in_the_log_is_no_finding() {
    let scene = Scene::start().await;
    let redis = &mut scene.world.redis().await;
    let old = RequestId::of_key("somebody", "long ago");
    let key = format!("state:request:{old}");
    let () = redis
        .hset(&key, "receivedAt", "2001-01-01T00:00:00Z")
        .await
        .unwrap();
    let told = scene.replay(&["verify", "--all"]).await.expect(0);
    assert!(told.contains("older than what the log keeps"), "{told}");
}

#[tokio::test]
async fn a_dead_letter_that_was_discarded_is_not_lost_and_one_that_was_lost_is() {
    let scene = Scene::start().await;
    let discarded = scene.request(&["boom"], "failed").await;
    let lost = scene.request(&["boom"], "failed").await;
    let letter = format!("{discarded}.0.1.0");
    let args = ["dead-letters", "discard", &letter, "--reason", "a test"];
    let said = crate::fanfold(&scene.world, &args).await;
    assert!(said.ok, "{}", said.err);
    let verify = ["verify", "--all", "--json"];
    let ran = scene.replay(&verify).await;
    assert_eq!(ran.code, 0, "{}", ran.out);
    let (_, counts) = findings(&ran);
    assert_eq!(counts["notes"]["dead letters that were discarded"], 1);

    let jetstream = scene.world.jetstream().await;
    let letters = jetstream.get_stream("DEAD_LETTERS").await.unwrap();
    let subject = format!("dead-letters.*.{lost}.>");
    letters.purge().filter(subject).await.unwrap();
    let ran = scene.replay(&verify).await;
    assert_eq!(ran.code, 2, "{}", ran.out);
    assert_eq!(ran.lines()[0]["requestId"], *lost);
    assert_eq!(findings(&ran).0.len(), 1);

    let operations = jetstream.get_stream("OPERATIONS").await.unwrap();
    let subject = format!("operations.dead-letter-discarded.{letter}");
    let record = operations
        .get_last_raw_message_by_subject(&subject)
        .await
        .unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record.payload).unwrap();
    assert_eq!(record["reason"], "a test");
}

#[tokio::test]
async fn a_task_whose_message_could_not_be_read_has_its_letter_under_another_id() {
    let mut scene = Scene::start().await;
    let id = scene.request(&["boom"], "failed").await;
    scene.program.stop().await;
    let letter = format!("unreadable.{id}.tasks.9");
    let unreadable = |event: &mut Event| {
        if let Event::TaskFailed(e) = event
            && let Next::DeadLetter(named) = &mut e.next
        {
            named.clone_from(&letter);
        }
    };
    scene.copy(&id, unreadable).await;
    let verify = ["verify", "--all", "--no-views"];
    let told = scene.replay(&verify).await.expect(2);
    assert!(told.contains(&letter), "it is not there yet: {told}");
    let jetstream = scene.world.jetstream().await;
    let kept = jetstream.publish(format!("dead-letters.{letter}"), "junk".into());
    kept.await.unwrap().await.unwrap();
    scene.replay(&verify).await.expect(0);
}

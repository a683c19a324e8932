use futures::future::join_all;
use harness::{Reply, Valuer, World, result_of};
use reqwest::StatusCode;

use crate::{document, up};

#[tokio::test]
async fn a_hundred_callers_that_wait_all_get_their_own_answers() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let documents: Vec<String> = (0..100)
        .map(|n| {
            document(2, 2)
                .replace("0.03", &format!("0.{n:03}"))
                .replace("<group", &format!("<mark>caller-{n}</mark><group"))
        })
        .collect();
    let answers = join_all(documents.iter().map(|d| client.submit(d, "sync=Y"))).await;
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert!(answer.body.contains(&format!("<mark>caller-{n}</mark>")));
        assert!(answer.body.contains("202.00"));
    }
}

#[tokio::test]
async fn a_caller_that_waits_too_long_learns_that_its_request_is_pending() {
    let world = World::start().await;
    let valuer = Valuer::start(|_| std::future::pending()).await;
    let program = up(&world, &valuer, &[("SYNC_WAIT_TIMEOUT_MS", "200")]).await;
    let answer = program.client().submit(&document(1, 1), "sync=Y").await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(answer.json()["status"], "pending");
    assert_eq!(
        program.client().status(&answer.id()).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn one_waiting_caller_beyond_the_limit_is_told_to_retry() {
    let world = World::start().await;
    let valuer = Valuer::start(|_| std::future::pending()).await;
    let settings = [
        ("FANFOLD_TEST_SYNC_WAITERS_MAX", "1"),
        ("SYNC_WAIT_TIMEOUT_MS", "3000"),
    ];
    let program = up(&world, &valuer, &settings).await;
    let client = program.client();
    let both = join_all((0..2).map(|_| client.submit(&document(1, 1), "sync=Y"))).await;
    let mut statuses: Vec<_> = both.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 503]);
    let refused = both
        .iter()
        .find(|answer| answer.status.as_u16() == 503)
        .unwrap();
    assert!(!refused.header("retry-after").is_empty());
}

#[tokio::test]
async fn a_caller_that_waits_learns_why_its_request_failed() {
    let world = World::start().await;
    let valuer = Valuer::start(|call| async move {
        if call.task == 2 {
            Reply::Status(422, "no such curve".into())
        } else {
            Reply::Result(result_of(&call))
        }
    })
    .await;
    let program = up(&world, &valuer, &[]).await;
    let answer = program.client().submit(&document(1, 3), "sync=Y").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_ne!(answer.header("fanfold-sequence"), "");
    let body = answer.json();
    assert_eq!(body["status"], "failed");
    assert_eq!(body["code"], "tasks-failed");
    assert_eq!(body["failure"]["tasks"][0]["task"], 2);
}

use futures::future::join_all;
use harness::{Answer, Client, Program, Valuer, World, until};

use crate::{document, nothing_is_stuck};

async fn sent_away(client: &Client) -> Option<Answer> {
    let answer = client.submit(&document(1, 5), "").await;
    (answer.status == 503).then_some(answer)
}

/// Runs without one role until its backlog reaches the limit, and then starts the role.
async fn refused_at_the_limit(limit: (&str, &str), at_first: &[&str], missing: &[&str]) {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let settings = [("EXECUTOR", valuer.url()), limit];
    let start = |role| Program::start(env!("CARGO_BIN_EXE_fanfold"), role, &world, &settings);
    let api = start("api").await;
    let client = api.client();
    let mut running = Vec::new();
    for role in at_first {
        running.push((*role, start(role).await));
    }
    let first = client.submit(&document(1, 5), "").await.id();
    let answer = harness::until_some("submissions are refused", || sent_away(&client)).await;
    assert_eq!(answer.json()["code"], "overloaded");
    assert_eq!(answer.header("retry-after"), "2");
    assert_eq!(client.status(&first).await.status, 200, "reading goes on");

    for role in missing {
        running.push((*role, start(role).await));
    }
    client.until_status(&first, "succeeded").await;
    until("submissions are accepted", || async {
        sent_away(&client).await.is_none()
    })
    .await;
    until("all that was taken in has ended", || async {
        let orchestrator = running.iter().find(|(role, _)| *role == "orchestrator");
        let metrics = orchestrator.unwrap().1.admin().get("/metrics").await.body;
        metrics.contains("fanfold_requests_open{shard=\"0\"} 0.0\n")
    })
    .await;
    nothing_is_stuck(&world).await;
}

#[tokio::test]
async fn submissions_are_refused_while_too_many_tasks_wait() {
    let limit = ("FANFOLD_TEST_TASKS_WAITING_MAX", "2");
    refused_at_the_limit(limit, &["orchestrator"], &["worker", "projector"]).await;
}

#[tokio::test]
async fn submissions_are_refused_while_the_orchestrator_lags_too_far() {
    let limit = ("BACKLOG_MAX", "2");
    let missing = ["orchestrator", "worker", "projector"];
    refused_at_the_limit(limit, &[], &missing).await;
}

#[tokio::test]
async fn submissions_are_refused_while_too_many_are_in_progress() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = crate::up(&world, &valuer, &[("FANFOLD_TEST_SUBMISSIONS_MAX", "1")]).await;
    let client = program.client();
    let large = document(1, 300);
    let answers = join_all((0..32).map(|_| client.submit(&large, ""))).await;
    let (taken, away): (Vec<_>, Vec<_>) = answers.iter().partition(|a| a.status == 202);
    assert!(!taken.is_empty() && !away.is_empty());
    for answer in away {
        assert_eq!(answer.json()["code"], "overloaded");
        assert_eq!(answer.header("retry-after"), "2");
    }
    for answer in taken {
        client.until_status(&answer.id(), "succeeded").await;
    }
    let later = client.submit(&document(1, 1), "").await;
    assert_eq!(later.status, 202, "it is taken in later");
}

#[tokio::test]
async fn a_key_that_was_refused_here_and_taken_in_elsewhere_is_answered_while_this_api_is_full() {
    let world = World::start().await;
    let limit = [("FANFOLD_TEST_TASKS_WAITING_MAX", "2")];
    let binary = env!("CARGO_BIN_EXE_fanfold");
    let full = Program::start(binary, "api", &world, &limit).await;
    let other = Program::start(binary, "api", &world, &[]).await;
    let _orchestrator = Program::start(binary, "orchestrator", &world, &[]).await;
    let client = full.client();
    client.submit(&document(1, 5), "").await.id();
    harness::until_some("submissions are refused", || sent_away(&client)).await;
    let keyed = |client: Client| async move {
        let call = client.call(reqwest::Method::POST, "/valuation");
        let call = call.header("content-type", "application/xml");
        let call = call.header("idempotency-key", "once");
        client.send(call.body(document(1, 1))).await
    };
    assert_eq!(keyed(client.clone()).await.status, 503);
    let taken = keyed(other.client()).await;
    assert_eq!(taken.status, 202);
    let again = keyed(client).await;
    assert_eq!((again.status.as_u16(), again.id()), (202, taken.id()));
}

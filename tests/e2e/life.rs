use harness::{Program, Valuer, World, until};
use reqwest::StatusCode;

use crate::{document, fanfold, up};

#[tokio::test]
async fn a_request_is_accepted_can_be_watched_at_once_and_ends_with_its_results() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();

    let accepted = client.submit(&document(2, 3), "").await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED);
    assert_eq!(accepted.json()["status"], "accepted");
    assert_eq!(accepted.header("cache-control"), "no-store");
    let id = accepted.id();
    assert_eq!(
        accepted.header("location"),
        format!("/valuation/{id}/status")
    );
    assert_eq!(
        client.status(&id).await.status,
        StatusCode::OK,
        "never 404 after a 202"
    );

    let status = client.until_status(&id, "succeeded").await;
    assert_eq!(status["groupCount"], 2);
    assert_eq!(status["currentGroup"], 1);
    for time in ["receivedAt", "startedAt", "completedAt"] {
        assert!(status[time].is_string(), "{time}: {status}");
    }
    for (group, name) in [(0, "g0"), (1, "g1")] {
        let group = &status["groups"][group];
        assert_eq!(group["name"], name);
        assert_eq!(
            (&group["expected"], &group["completed"]),
            (&3.into(), &3.into())
        );
        assert_eq!(
            (&group["failed"], &group["status"]),
            (&0.into(), &"completed".into())
        );
    }
    let results = client.results(&id).await;
    assert_eq!(results.header("content-type"), "application/xml");
    assert!(
        results
            .header("cache-control")
            .starts_with("private, max-age=")
    );
    for amount in ["101.00", "103.00", "201.00", "203.00"] {
        assert!(results.body.contains(amount), "{amount}: {}", results.body);
    }
}

#[tokio::test]
async fn results_of_a_running_request_and_unknown_requests_are_not_found() {
    let world = World::start().await;
    let valuer = Valuer::start(|_| std::future::pending()).await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    let id = client.submit(&document(1, 1), "").await.id();
    client.until_status(&id, "running").await;

    let results = client.results(&id).await;
    assert_eq!(results.status, StatusCode::NOT_FOUND);
    assert_eq!(results.json()["message"], "Result not yet available");
    assert_eq!(results.json()["status"], "running");
    assert_eq!(results.header("cache-control"), "no-store");

    let unknown = "01a20d07-ceb0-71d2-8a80-d677f6148452";
    assert_eq!(client.results(unknown).await.status, StatusCode::NOT_FOUND);
    assert_eq!(client.status(unknown).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn two_of_each_role_in_processes_of_their_own_work_together() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let settings = [("EXECUTOR", valuer.url())];
    let start = |role| Program::start(env!("CARGO_BIN_EXE_fanfold"), role, &world, &settings);
    let mut programs = Vec::new();
    for role in ["api", "orchestrator", "worker", "projector"] {
        programs.push(start(role).await);
        programs.push(start(role).await);
    }
    for client in [programs[0].client(), programs[1].client()] {
        let ids =
            futures::future::join_all((0..20).map(|_| client.submit(&document(2, 5), ""))).await;
        for accepted in ids {
            client.until_status(&accepted.id(), "succeeded").await;
        }
    }
    for program in &mut programs {
        let status = program.stop().await;
        assert!(status.success(), "{status}: {}", program.log());
    }
}

/// One process hands the document over, and two processes read it from the log.
#[tokio::test]
async fn a_document_as_large_as_the_operator_allows_is_worked_on_in_one_process_and_in_several() {
    let unused = format!("<model name=\"m\">{}</model>", "x".repeat(11 * 1024 * 1024));
    let large = document(2, 2).replacen("<project>", &format!("<project>{unused}"), 1);
    let settings = [
        ("PAYLOAD_MAX_BYTES", "20000000"),
        ("EXECUTOR", "echo"),
        ("RUST_LOG", "orchestrator=debug,info"),
    ];
    for roles in [&["up"][..], &["api", "orchestrator", "worker", "projector"]] {
        let world = World::start().await;
        let start = |role| Program::start(env!("CARGO_BIN_EXE_fanfold"), role, &world, &settings);
        let mut programs = Vec::new();
        for role in roles {
            programs.push(start(role).await);
        }
        let client = programs[0].client();
        // Once an orchestrator has received a first commit, the process knows that it follows the
        // log.
        let small = client.submit(&document(1, 1), "").await;
        client.until_status(&small.id(), "succeeded").await;
        let answer = client.submit(&large, "").await;
        client.until_status(&answer.id(), "succeeded").await;
        let parsed = format!("the document is parsed request={}", answer.id());
        let read_from_log = programs
            .iter()
            .any(|program| program.log().contains(&parsed));
        assert_eq!(read_from_log, roles.len() > 1, "{roles:?}");
        let verified = fanfold(&world, &["replay", "verify", &answer.id()]).await;
        assert!(verified.ok, "{roles:?}: {}{}", verified.out, verified.err);
    }
}

#[tokio::test]
async fn readiness_names_within_a_second_the_redis_that_is_missing_and_can_be_missed() {
    let mut world = World::own().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    assert_eq!(client.get("/healthz").await.status, StatusCode::OK);

    world.kill_redis().await;
    let begun = std::time::Instant::now();
    let answer = client.get("/readyz").await;
    assert!(begun.elapsed().as_millis() < 1_000, "{:?}", begun.elapsed());
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["status"], "degraded");
    assert_eq!(answer.json()["dependencies"]["nats"], "ok");
    assert_ne!(answer.json()["dependencies"]["redis"], "ok");
    assert_eq!(client.get("/healthz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn up_says_that_a_build_which_is_not_optimized_is_a_first_look() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    until("it is ready", || async { program.log().contains("Ctrl-C") }).await;
    let log = program.log();
    let said = log.lines().find(|line| line.contains("  build "));
    let said = said.unwrap_or_else(|| panic!("nothing is said: {log}"));
    assert!(
        said.contains("a first look") && said.contains("make install"),
        "{said}"
    );
}

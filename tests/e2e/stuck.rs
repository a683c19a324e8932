use harness::{Program, Valuer, World, until};

use crate::{document, fanfold};

#[tokio::test]
async fn a_request_that_no_orchestrator_advances_is_listed_as_stuck_and_counted() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let settings = [("EXECUTOR", valuer.url())];
    let start = |role| Program::start(env!("CARGO_BIN_EXE_fanfold"), role, &world, &settings);
    let api = start("api").await;
    let client = api.client();
    let id = client.submit(&document(1, 1), "").await.id();
    let said = fanfold(&world, &["requests", "stuck"]).await;
    assert!(said.ok, "a minute is what any step may take: {}", said.out);
    let said = fanfold(&world, &["requests", "stuck", "--after", "0", "--json"]).await;
    assert!(!said.ok);
    assert!(
        said.out.contains(&format!("\"requestId\":\"{id}\"")),
        "{}",
        said.out
    );
    assert_eq!(said.err, "1 stuck\n");

    let orchestrator = start("orchestrator").await;
    let admin = orchestrator.admin();
    until("it is ready", || admin.ready()).await;
    let told = async |line: &str| {
        until(line, || async {
            admin.get("/metrics").await.body.contains(line)
        })
        .await;
    };
    told("fanfold_pinned{role=\"orchestrator\",shard=\"0\"} 1.0\n").await;
    told("fanfold_requests_open{shard=\"0\"} 1.0\n").await;
    told("fanfold_requests_stuck{shard=\"0\"} 0.0\n").await;
    let _rest = (start("worker").await, start("projector").await);
    client.until_status(&id, "succeeded").await;
    let said = fanfold(&world, &["requests", "stuck", "--after", "0"]).await;
    assert!(said.ok, "{}", said.out);
    told("fanfold_requests_open{shard=\"0\"} 0.0\n").await;
}

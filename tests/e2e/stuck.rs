use harness::{Program, Valuer, World};

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
    let metrics = api.admin().get("/metrics").await.body;
    assert!(metrics.contains("fanfold_requests_open 1\n"), "{metrics}");
    assert!(metrics.contains("fanfold_requests_stuck 0\n"), "{metrics}");
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

    let _rest = (
        start("orchestrator").await,
        start("worker").await,
        start("projector").await,
    );
    client.until_status(&id, "succeeded").await;
    let said = fanfold(&world, &["requests", "stuck", "--after", "0"]).await;
    assert!(said.ok, "{}", said.out);
    let metrics = api.admin().get("/metrics").await.body;
    assert!(metrics.contains("fanfold_requests_open 0\n"), "{metrics}");
}

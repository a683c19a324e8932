use harness::{Valuer, World, canonical, request_cases};
use reqwest::StatusCode;

use crate::up;

#[tokio::test]
async fn every_golden_request_gets_its_response_and_its_workers_get_their_task_documents() {
    let world = World::start().await;
    let valuer = Valuer::golden().await;
    let program = up(&world, &valuer, &[]).await;
    let client = program.client();
    for case in request_cases() {
        let answer = client.submit(&case.request, "sync=Y").await;
        assert_eq!(
            answer.status,
            StatusCode::OK,
            "{}: {}",
            case.name,
            answer.body
        );
        assert_eq!(
            canonical(&answer.body),
            canonical(&case.response),
            "{}",
            case.name
        );

        let id = answer.header("x-request-id").to_owned();
        let mut seen = valuer.calls();
        seen.retain(|call| call.request == id);
        seen.sort_by_key(|call| (call.group, call.task));
        let seen: Vec<_> = seen
            .iter()
            .map(|call| (call.group, call.task, canonical(&call.document)))
            .collect();
        let expected: Vec<_> = case
            .tasks
            .iter()
            .map(|(group, task, document)| (*group, *task, canonical(document)))
            .collect();
        assert_eq!(seen, expected, "{}", case.name);

        let results = client.results(&id).await;
        assert_eq!(results.status, StatusCode::OK);
        assert_eq!(results.body, answer.body);
    }
}

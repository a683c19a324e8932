//! The common behavior of all executors.

use super::*;
use domain::request::{AttemptNumber, GroupIndex, TaskNumber};

fn task() -> Task {
    Task {
        request_id: "r".to_owned(),
        task_type: "default".to_owned(),
        group: GroupIndex::FIRST,
        task: TaskNumber::FIRST,
        attempt: AttemptNumber::FIRST,
        traceparent: None,
        tracestate: None,
        document: Bytes::from("<anything/>"),
    }
}

fn executor(toml: &str) -> Executor {
    Executor::new(&toml::from_str(toml).unwrap(), 10_485_760)
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn an_echo_is_the_document_as_it_is() {
    let result = executor("kind = 'echo'")
        .execute(&task(), Duration::ZERO, &CancellationToken::new())
        .await;
    assert_eq!(result, Ok(task().document));
}

#[tokio::test]
async fn a_cancelled_attempt_does_not_start() {
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    for toml in [
        "kind = 'echo'",
        "kind = 'reference'",
        "kind = 'command'\nprogram = '/nowhere'",
        "kind = 'http'\nurl = 'http://localhost:1'",
    ] {
        let fault = executor(toml)
            .execute(&task(), Duration::MAX, &cancelled)
            .await
            .unwrap_err();
        assert_eq!(fault, Fault::cancelled());
    }
}

#[test]
fn an_attempt_can_run_on_any_thread() {
    fn is_send(_: impl Send) {}
    let (executor, task) = (executor("kind = 'echo'"), task());
    is_send(executor.execute(&task, Duration::ZERO, &CancellationToken::new()));
}

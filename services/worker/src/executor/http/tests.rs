//! A real service on a loopback port.

use domain::request::{AttemptNumber, GroupIndex, TaskNumber};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap as Received, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::executor::{Executor, MAX_CAUSE_BYTES, Retry};

/// Longer than anything here takes; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(20);
const RESULT: &str = "<vnml><project><group><valuation/></group></project></vnml>";

fn task() -> Task {
    Task {
        request_id: "0190".to_owned(),
        task_type: "bonds".to_owned(),
        group: GroupIndex::new(2),
        task: TaskNumber::new(7),
        attempt: AttemptNumber::new(3),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        tracestate: Some("rojo=1".into()),
        document: Bytes::from(RESULT),
    }
}

fn executor(url: &str, settings: &str) -> Executor {
    let toml = format!("kind = 'http'\nurl = '{url}'\n{settings}");
    Executor::new(&toml::from_str(&toml).unwrap(), 10_485_760)
        .unwrap()
        .unwrap()
}

/// A service that ends with the test.
struct Service {
    url: String,
    serving: JoinHandle<()>,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Service {
    async fn of(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/value", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, serving }
    }

    async fn answering(answer: impl IntoResponse + Clone + Send + Sync + 'static) -> Self {
        let answer = move || async move { answer.into_response() };
        Self::of(Router::new().route("/value", post(answer))).await
    }

    async fn run(&self, settings: &str) -> Result<Bytes, Fault> {
        run_within(&executor(&self.url, settings), PATIENCE).await
    }
}

async fn run_within(executor: &Executor, limit: Duration) -> Result<Bytes, Fault> {
    let attempt = async {
        executor
            .execute(&task(), limit, &CancellationToken::new())
            .await
    };
    timeout(PATIENCE, attempt).await.expect("the attempt ends")
}

/// A listener that takes one connection, reads a little, writes what it is given, and then waits
/// until the other side closes.
async fn listener(answer: &'static [u8]) -> (String, JoinHandle<()>, oneshot::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (asked, was_asked) = oneshot::channel();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await.unwrap();
        stream.write_all(answer).await.unwrap();
        let _ = asked.send(());
        let mut rest = Vec::new();
        // A close with unread bytes is a reset, which is an end too.
        let _ = stream.read_to_end(&mut rest).await;
    });
    (url, serving, was_asked)
}

#[tokio::test]
async fn the_document_is_posted_with_the_facts_of_its_task() {
    let seen = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&seen);
    let echo = move |headers: Received, body: Bytes| async move {
        *keep.lock().unwrap() = Some(headers);
        body
    };
    let service = Service::of(Router::new().route("/value", post(echo))).await;
    let result = service
        .run("headers = { Authorization = 'Bearer t' }")
        .await;
    assert_eq!(result, Ok(Bytes::from(RESULT)));
    let headers = seen.lock().unwrap().take().unwrap();
    for (name, value) in [
        ("content-type", "application/xml; charset=utf-8"),
        ("authorization", "Bearer t"),
        ("fanfold-request-id", "0190"),
        ("fanfold-task-type", "bonds"),
        ("fanfold-group", "2"),
        ("fanfold-task", "7"),
        ("fanfold-attempt", "3"),
        ("idempotency-key", "0190/2/7"),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        ("tracestate", "rojo=1"),
    ] {
        assert_eq!(headers[name], value);
    }
}

#[tokio::test]
async fn the_status_decides_on_another_attempt() {
    for (status, retry) in [
        (400, Retry::Never),
        (404, Retry::Never),
        (422, Retry::Never),
        (408, Retry::ByPolicy),
        (425, Retry::ByPolicy),
        (429, Retry::ByPolicy),
        (500, Retry::ByPolicy),
        (503, Retry::ByPolicy),
    ] {
        let answer = (StatusCode::from_u16(status).unwrap(), "because");
        let service = Service::answering(answer).await;
        let fault = service.run("tell-answers = true").await.unwrap_err();
        assert_eq!(fault.code, format!("http-{status}"));
        assert_eq!(fault.retry, retry, "{status}");
        assert_eq!(fault.causes, ["because"]);
    }
}

#[tokio::test]
async fn a_service_may_say_when_to_come_back() {
    let busy = |after: String| (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", after)]);
    let fault = Service::answering(busy("7".to_owned()))
        .await
        .run("")
        .await
        .unwrap_err();
    assert_eq!(fault.retry, Retry::After(Duration::from_secs(7)));
    let date = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_mins(10));
    let fault = Service::answering(busy(date))
        .await
        .run("")
        .await
        .unwrap_err();
    let Retry::After(delay) = fault.retry else {
        panic!("no delay in {fault:?}")
    };
    assert!(delay > Duration::from_secs(500) && delay <= Duration::from_mins(10));
    let refused = (StatusCode::BAD_REQUEST, [("retry-after", "7")]);
    let fault = Service::answering(refused).await.run("").await.unwrap_err();
    assert_eq!(fault.retry, Retry::Never);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let moved = (StatusCode::TEMPORARY_REDIRECT, [("location", "/elsewhere")]);
    let service = Service::answering(moved).await;
    let fault = service.run("").await.unwrap_err();
    assert_eq!(
        (fault.code.as_str(), fault.retry),
        ("http-307", Retry::Never)
    );
    assert_eq!(fault.causes, ["redirects are not followed"]);
    let fault = service.run("tell-answers = true").await.unwrap_err();
    assert!(fault.causes[1].contains("/elsewhere"));
}

#[tokio::test]
async fn an_error_body_is_kept_up_to_a_limit() {
    let answer = (StatusCode::BAD_REQUEST, "x".repeat(MAX_CAUSE_BYTES + 1));
    let service = Service::answering(answer).await;
    let fault = service.run("tell-answers = true").await.unwrap_err();
    assert_eq!(fault.causes[0].len(), MAX_CAUSE_BYTES);
}

#[tokio::test]
async fn neither_the_url_nor_an_answer_of_a_service_is_told_to_callers() {
    let answer = (StatusCode::INTERNAL_SERVER_ERROR, "db at 10.0.0.7 is down");
    let fault = Service::answering(answer).await.run("").await.unwrap_err();
    assert!(fault.causes.is_empty(), "{fault:?}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("http://{place}/price?api_key=TOPSECRET");
    for (settings, causes) in [("", 1), ("tell-answers = true", 2)] {
        let executor = executor(&url, settings);
        let fault = run_within(&executor, PATIENCE).await.unwrap_err();
        assert!(fault.causes.len() >= causes, "{fault:?}");
        let told = format!("{fault:?} {executor:?}");
        assert!(!told.contains("TOPSECRET"), "{told}");
    }
    let quiet = run_within(&executor(&url, ""), PATIENCE).await.unwrap_err();
    assert_eq!(quiet.causes, ["connection refused"]);
}

#[tokio::test]
async fn a_result_of_the_limit_is_taken_and_a_byte_more_is_not() {
    let service = Service::answering(RESULT).await;
    let limit = |bytes: usize| format!("max-result-bytes = {bytes}");
    let result = service.run(&limit(RESULT.len())).await;
    assert_eq!(result, Ok(Bytes::from(RESULT)));
    let fault = service.run(&limit(RESULT.len() - 1)).await.unwrap_err();
    assert_eq!(
        (fault.code.as_str(), fault.retry),
        ("result-too-big", Retry::Never)
    );
}

#[tokio::test]
async fn a_result_that_does_not_say_its_length_is_bounded_too() {
    let (url, serving, _) = listener(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n<vnml>  \r\n8\r\n        \r\n",
    )
    .await;
    let fault = run_within(&executor(&url, "max-result-bytes = 12"), PATIENCE).await;
    assert_eq!(fault.unwrap_err().code, "result-too-big");
    timeout(PATIENCE, serving)
        .await
        .expect("it hangs up")
        .unwrap();
}

#[tokio::test]
async fn an_answer_that_is_no_result_is_not_tried_again() {
    for answer in ["", "<html/>"] {
        let fault = Service::answering(answer).await.run("").await.unwrap_err();
        assert_eq!(
            (fault.code.as_str(), fault.retry),
            ("result-invalid", Retry::Never)
        );
    }
}

#[tokio::test]
async fn an_unreachable_service_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let fault = run_within(&executor(&url, ""), PATIENCE).await.unwrap_err();
    assert_eq!(
        (fault.code.as_str(), fault.retry),
        ("http-unreachable", Retry::ByPolicy)
    );
    assert!(!fault.causes.is_empty());
}

#[tokio::test]
async fn a_truncated_answer_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let breaking_off = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await.unwrap();
        let half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<vnml>";
        stream.write_all(half).await.unwrap();
    };
    let executor = executor(&url, "");
    let (result, ()) = tokio::join!(run_within(&executor, PATIENCE), breaking_off);
    let fault = result.unwrap_err();
    assert_eq!(
        (fault.code.as_str(), fault.retry),
        ("http-broken-off", Retry::ByPolicy)
    );
}

#[tokio::test]
async fn a_kept_connection_that_is_closed_as_it_is_used_again_costs_no_attempt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = async {
        let result = "<vnml><project><group><valuation/></group></project></vnml>";
        let length = result.len();
        let whole = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{result}");
        let whole = whole.as_bytes();
        let (mut kept, _) = listener.accept().await.unwrap();
        let _ = kept.read(&mut [0; 4096]).await.unwrap();
        kept.write_all(whole).await.unwrap();
        let _ = kept.read(&mut [0; 4096]).await.unwrap();
        drop(kept);
        let (mut fresh, _) = listener.accept().await.unwrap();
        let _ = fresh.read(&mut [0; 4096]).await.unwrap();
        fresh.write_all(whole).await.unwrap();
    };
    let executor = executor(&url, "");
    let twice = async {
        let first = run_within(&executor, PATIENCE).await;
        (first, run_within(&executor, PATIENCE).await)
    };
    let ((first, second), ()) = tokio::join!(twice, serving);
    assert_eq!(first.unwrap(), second.unwrap());
}

#[tokio::test]
async fn a_call_to_a_service_that_never_answers_ends_at_the_time_limit() {
    let (url, serving, _) = listener(b"").await;
    let limit = Duration::from_millis(100);
    let fault = run_within(&executor(&url, ""), limit).await.unwrap_err();
    assert_eq!(
        (fault.code.as_str(), fault.retry),
        ("task-timed-out", Retry::ByPolicy)
    );
    timeout(PATIENCE, serving)
        .await
        .expect("it hangs up")
        .unwrap();
}

#[tokio::test]
async fn a_cancelled_attempt_hangs_up() {
    let (url, serving, asked) = listener(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n").await;
    let (executor, task, cancelled) = (executor(&url, ""), task(), CancellationToken::new());
    let cancel = async {
        asked.await.unwrap();
        cancelled.cancel();
    };
    let (result, ()) = tokio::join!(executor.execute(&task, PATIENCE, &cancelled), cancel);
    assert_eq!(result, Err(Fault::cancelled()));
    timeout(PATIENCE, serving)
        .await
        .expect("it hangs up")
        .unwrap();
}

#[tokio::test]
async fn connecting_has_a_limit_of_its_own() {
    // A listener that accepts nothing: once its queue is full, connections stay half open.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let short = Duration::from_millis(100);
    let mut queue = Vec::new();
    while let Ok(stream) = timeout(short, tokio::net::TcpStream::connect(address)).await {
        queue.push(stream.unwrap());
    }
    let executor = executor(&format!("http://{address}"), "connect-timeout-ms = 100");
    let fault = run_within(&executor, PATIENCE).await.unwrap_err();
    assert_eq!(
        (fault.code.as_str(), fault.retry),
        ("http-unreachable", Retry::ByPolicy)
    );
}

#[tokio::test]
async fn https_is_spoken_and_a_service_that_does_not_is_unreachable() {
    let (url, serving, _) = listener(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let executor = executor(&url.replace("http:", "https:"), "");
    let fault = run_within(&executor, PATIENCE).await.unwrap_err();
    assert_eq!(
        (fault.code.as_str(), fault.retry),
        ("http-unreachable", Retry::ByPolicy)
    );
    timeout(PATIENCE, serving)
        .await
        .expect("it hangs up")
        .unwrap();
}

#[tokio::test]
async fn a_task_that_makes_no_request_is_not_tried_again() {
    let task = Task {
        task_type: "two\nlines".to_owned(),
        ..task()
    };
    let fault = executor("http://127.0.0.1:1", "")
        .execute(&task, PATIENCE, &CancellationToken::new())
        .await
        .unwrap_err();
    assert_eq!(
        (fault.code.as_str(), fault.retry),
        ("http-request-invalid", Retry::Never)
    );
}

//! An executor that a test supplies: the service behind the `http` executor.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// One attempt as the service sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskCall {
    pub request: String,
    pub group: u32,
    pub task: u32,
    pub attempt: u32,
    pub traceparent: Option<String>,
    pub tracestate: Option<String>,
    pub document: String,
}

/// An answer of the service.
pub enum Reply {
    /// A result document.
    Result(String),
    /// An HTTP status with a text.
    Status(u16, String),
}

type Answer = Arc<dyn Fn(TaskCall) -> BoxFuture<'static, Reply> + Send + Sync>;

/// A service that values tasks as the test specifies. It ends on drop.
pub struct Valuer {
    url: String,
    calls: Arc<Mutex<Vec<TaskCall>>>,
    _serving: JoinSet<()>,
}

impl Valuer {
    /// Starts the service. `answer` answers each attempt.
    pub async fn start<F>(answer: impl Fn(TaskCall) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let answer: Answer = Arc::new(move |call| Box::pin(answer(call)));
        let calls = Arc::<Mutex<Vec<TaskCall>>>::default();
        let router = Router::new()
            .route("/", post(value))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state((answer, calls.clone()));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            calls,
            _serving: serving,
        }
    }

    /// Prices every task at (group + 1) · 100 + task, as the golden cases do.
    pub async fn golden() -> Self {
        Self::start(|call| async move { Reply::Result(result_of(&call)) }).await
    }

    /// A service that holds every task until the test releases it.
    pub async fn held() -> (Self, watch::Sender<bool>) {
        let (open, gate) = watch::channel(false);
        let valuer = Self::start(move |call| {
            let mut gate = gate.clone();
            async move {
                gate.wait_for(|open| *open).await.unwrap();
                Reply::Result(result_of(&call))
            }
        });
        (valuer.await, open)
    }

    /// A service that is busy at the first attempt of these tasks.
    pub async fn busy_at_first(busy: impl Fn(u32) -> bool + Send + Sync + 'static) -> Self {
        Self::start(move |call| {
            let busy = call.attempt == 1 && busy(call.task);
            async move {
                if busy {
                    Reply::Status(503, "busy".into())
                } else {
                    Reply::Result(result_of(&call))
                }
            }
        })
        .await
    }

    /// The value of `EXECUTOR` for a worker that calls this service.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The number of attempts so far.
    pub fn calls_so_far(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    /// The attempts so far, in order of arrival.
    pub fn calls(&self) -> Vec<TaskCall> {
        self.calls.lock().unwrap().clone()
    }
}

async fn value(
    State((answer, calls)): State<(Answer, Arc<Mutex<Vec<TaskCall>>>)>,
    headers: HeaderMap,
    document: String,
) -> Response {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let number = |name: &str| text(name).parse().unwrap();
    let trace = |name: &str| {
        let value = headers.get(name);
        value.map(|value| value.to_str().unwrap().to_owned())
    };
    let call = TaskCall {
        request: text("fanfold-request-id"),
        group: number("fanfold-group"),
        task: number("fanfold-task"),
        attempt: number("fanfold-attempt"),
        traceparent: trace("traceparent"),
        tracestate: trace("tracestate"),
        document,
    };
    calls.lock().unwrap().push(call.clone());
    match answer(call).await {
        Reply::Result(document) => document.into_response(),
        Reply::Status(status, text) => {
            (StatusCode::from_u16(status).unwrap(), text).into_response()
        }
    }
}

/// The golden result of a task: its document with the amount set.
pub fn result_of(call: &TaskCall) -> String {
    priced(&call.document, call.group, call.task)
}

/// A task document with its `analytics/price/amount` set to (group + 1) · 100 + task. A document
/// without an amount stays as it is.
pub fn priced(document: &str, group: u32, task: u32) -> String {
    let amount = format!("{}.00", (group + 1) * 100 + task);
    let Some(price) = document.find("<price>") else {
        return document.to_owned();
    };
    let (before, after) = document.split_at(price);
    let (Some(open), Some(end)) = (after.find("<amount"), after.find("</price>")) else {
        return document.to_owned();
    };
    let opened = &after[..open];
    let rest = &after[open..end];
    let tail = match rest.find("</amount>") {
        Some(close) => &rest[close + "</amount>".len()..],
        None => rest.split_once("/>").map_or("", |(_, tail)| tail),
    };
    format!(
        "{before}{opened}<amount>{amount}</amount>{tail}{}",
        &after[end..]
    )
}

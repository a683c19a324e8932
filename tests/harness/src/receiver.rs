//! A receiver of webhooks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::task::JoinSet;

/// A received call.
#[derive(Clone, Debug)]
pub struct Received {
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

type Calls = Arc<Mutex<Vec<Received>>>;

/// A service that accepts posted webhooks. It ends on drop.
pub struct Receiver {
    url: String,
    calls: Calls,
    _serving: JoinSet<()>,
}

impl Receiver {
    /// Starts the service. It answers the n-th call (from 0) with the n-th status, and later calls
    /// with 204.
    pub async fn start(statuses: &'static [u16]) -> Self {
        let calls = Calls::default();
        let take = move |State(calls): State<Calls>, headers: HeaderMap, body: String| async move {
            let text = |value: &axum::http::HeaderValue| value.to_str().unwrap().to_owned();
            let headers = headers
                .iter()
                .map(|(name, value)| (name.to_string(), text(value)));
            let headers = headers.collect();
            let mut calls = calls.lock().unwrap();
            let status = statuses.get(calls.len()).copied().unwrap_or(204);
            calls.push(Received { headers, body });
            StatusCode::from_u16(status).unwrap()
        };
        let router = Router::new()
            .route("/", post(take))
            .with_state(calls.clone());
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

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn calls(&self) -> Vec<Received> {
        self.calls.lock().unwrap().clone()
    }
}

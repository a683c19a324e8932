//! The executor of the run. Its answer follows from the document and the number of the attempt.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::documents::{amount, crc32};

/// The code of a planned refusal.
pub const REFUSED: &str = "http-422";
/// The code of a planned flake.
pub const FLAKED: &str = "http-503";
/// The longest delay of an answer, in milliseconds.
const DELAY_MAX_MS: u32 = 200;

type Runs = Arc<Mutex<HashMap<String, u32>>>;

/// A service that prices by name. It ends on drop.
pub struct Valuer {
    url: String,
    runs: Runs,
    _serving: JoinSet<()>,
}

impl Valuer {
    pub async fn start() -> anyhow::Result<Self> {
        let runs = Runs::default();
        let router = Router::new()
            .route("/", post(value))
            .layer(DefaultBodyLimit::disable())
            .with_state(runs.clone());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Ok(Self {
            url,
            runs,
            _serving: serving,
        })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// How often each task was executed.
    pub fn runs(&self) -> HashMap<String, u32> {
        self.runs.lock().unwrap().clone()
    }
}

async fn value(State(runs): State<Runs>, headers: HeaderMap, document: String) -> Response {
    let attempt = headers.get("fanfold-attempt");
    let attempt = attempt.and_then(|value| value.to_str().ok()).unwrap_or("");
    let name = document
        .split_once("<valuation name=\"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map_or("", |(name, _)| name);
    *runs.lock().unwrap().entry(name.to_owned()).or_default() += 1;
    let delay = crc32(format!("{name} {attempt}").as_bytes()) % DELAY_MAX_MS;
    tokio::time::sleep(Duration::from_millis(delay.into())).await;
    if name.ends_with("-fail") {
        return (StatusCode::UNPROCESSABLE_ENTITY, "planned refusal").into_response();
    }
    if name.ends_with("-flaky") && attempt == "1" {
        return (StatusCode::SERVICE_UNAVAILABLE, "planned flake").into_response();
    }
    let price = format!("<amount>{}</amount>", amount(name));
    document.replacen("<amount/>", &price, 1).into_response()
}

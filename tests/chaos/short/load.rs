//! Callers that submit until a number of requests is accepted, whatever happens to the API.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::Client;
use reqwest::{Method, StatusCode};

const CALLERS: usize = 4;

pub struct Load {
    client: Client,
    requests: usize,
    document: String,
    accepted: Mutex<Vec<String>>,
}

impl Load {
    pub fn new(client: Client, requests: usize, groups: usize, tasks: usize) -> Self {
        Self {
            client,
            requests,
            document: document(groups, tasks),
            accepted: Mutex::default(),
        }
    }

    /// The requests that got a 202.
    pub fn accepted(&self) -> Vec<String> {
        self.accepted.lock().unwrap().clone()
    }

    pub async fn run(self: Arc<Self>) {
        let callers = (0..CALLERS).map(|_| self.submit_until_enough());
        futures::future::join_all(callers).await;
    }

    async fn submit_until_enough(&self) {
        while self.accepted.lock().unwrap().len() < self.requests {
            let call = self
                .client
                .call(Method::POST, "/valuation")
                .timeout(Duration::from_secs(10))
                .header("content-type", "application/xml")
                .body(self.document.clone());
            match call.send().await {
                Ok(answer) if answer.status() == StatusCode::ACCEPTED => {
                    let body: String = answer.text().await.unwrap_or_default();
                    let Ok(body) = serde_json::from_str::<serde_json::Value>(&body) else {
                        continue;
                    };
                    let id = body["requestId"].as_str().unwrap().to_owned();
                    self.accepted.lock().unwrap().push(id);
                }
                // The API is down, or cannot accept anything now. A caller tries again.
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

pub fn document(groups: usize, tasks: usize) -> String {
    let valuation = "<valuation name=\"v\"><market select=\"/vnml/project/market[1]\"/>\
                     <analytics><price><amount/></price></analytics></valuation>";
    let group = format!("<group>{}</group>", valuation.repeat(tasks));
    let market = "<market name=\"m\"><rate>0.03</rate></market>";
    format!(
        "<vnml><project>{market}{}</project></vnml>",
        group.repeat(groups)
    )
}

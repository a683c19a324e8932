//! One call of a caller, and what the caller makes of its answer.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

/// A client that follows no proxy of the environment.
pub fn client() -> reqwest::Result<reqwest::Client> {
    // A provider may be installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build()
}

/// What became of a call.
pub enum Outcome {
    Answer(Answer),
    /// Nobody listens: the call was not sent.
    Refused,
    /// The connection ended, or nothing came in time.
    Broken(&'static str),
}

pub struct Answer {
    pub status: StatusCode,
    headers: HeaderMap,
    pub body: String,
}

impl Outcome {
    pub async fn of(call: RequestBuilder, limit: Duration) -> Self {
        let answered = async {
            let answer = call.timeout(limit).send().await?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let body = answer.text().await?;
            Ok(Answer {
                status,
                headers,
                body,
            })
        };
        match answered.await {
            Ok(answer) => Self::Answer(answer),
            Err(error) => Self::of_error(&error),
        }
    }

    fn of_error(error: &reqwest::Error) -> Self {
        if error.is_connect() {
            Self::Refused
        } else if error.is_timeout() {
            Self::Broken("timed out")
        } else {
            Self::Broken("broken")
        }
    }

    /// The answer in a word or two, for counting.
    pub fn name(&self) -> String {
        match self {
            Self::Refused => "refused".into(),
            Self::Broken(how) => (*how).into(),
            Self::Answer(answer) => {
                let code = answer.code();
                format!("{} {code}", answer.status.as_u16()).trim().into()
            }
        }
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The code of a problem; empty if the answer is none.
    pub fn code(&self) -> String {
        if self.status.as_u16() < 400 {
            return String::new();
        }
        self.json()["code"].as_str().unwrap_or("").to_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The id of the request that the answer names.
    pub fn id(&self) -> Option<String> {
        let id = self.json()["requestId"].as_str().map(str::to_owned);
        id.or_else(|| self.header("x-request-id").map(str::to_owned))
    }

    /// The sequence that the request has reached.
    pub fn sequence(&self) -> u64 {
        let sequence = self.header("fanfold-sequence");
        sequence.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    pub fn retry_after(&self) -> Option<Duration> {
        let seconds: u64 = self.header("retry-after")?.parse().ok()?;
        Some(Duration::from_secs(seconds))
    }
}

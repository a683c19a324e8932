//! A client of the HTTP API.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;

use crate::until::until_some;

/// A client of one address.
#[derive(Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
}

/// A complete answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.body))
    }

    /// The text of a header; empty if the header is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The id of the request in the answer.
    #[track_caller]
    pub fn id(&self) -> String {
        let id = self.json()["requestId"].as_str().map(str::to_owned);
        id.unwrap_or_else(|| panic!("no requestId: {} {}", self.status, self.body))
    }
}

impl Client {
    pub fn new(base: String) -> Self {
        // A provider may be installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { base, http }
    }

    /// A client of the same address that proves who it is with a key or a token.
    #[must_use]
    pub fn with_credential(&self, credential: &str) -> Self {
        let mut value: HeaderValue = format!("Bearer {credential}").parse().unwrap();
        value.set_sensitive(true);
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        let http = reqwest::Client::builder().no_proxy();
        Self {
            base: self.base.clone(),
            http: http.default_headers(headers).build().unwrap(),
        }
    }

    /// The same caller at another address.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        Self {
            base: base.to_owned(),
            http: self.http.clone(),
        }
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    /// A call that the test can extend.
    pub fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Sends a call and reads the complete answer.
    #[track_caller]
    pub fn send(&self, call: RequestBuilder) -> impl Future<Output = Answer> + use<> {
        let place = std::panic::Location::caller();
        async move {
            let answer = call.send().await;
            let answer = answer.unwrap_or_else(|error| panic!("{place}: {error:?}"));
            Answer {
                status: answer.status(),
                headers: answer.headers().clone(),
                body: answer.text().await.unwrap(),
            }
        }
    }

    /// Sends a call and returns the answer as a stream.
    pub async fn http(&self, call: RequestBuilder) -> reqwest::Response {
        call.send().await.unwrap()
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> impl Future<Output = Answer> + use<> {
        self.send(self.call(Method::GET, path))
    }

    /// Submits a document. `query` is, for example, `sync=Y`.
    #[track_caller]
    pub fn submit(&self, document: &str, query: &str) -> impl Future<Output = Answer> + use<> {
        let call = self.call(Method::POST, &format!("/valuation?{query}"));
        self.send(
            call.header(CONTENT_TYPE, "application/xml")
                .body(document.to_owned()),
        )
    }

    #[track_caller]
    pub fn status(&self, id: &str) -> impl Future<Output = Answer> + use<> {
        self.get(&format!("/valuation/{id}/status"))
    }

    #[track_caller]
    pub fn results(&self, id: &str) -> impl Future<Output = Answer> + use<> {
        self.get(&format!("/valuation/{id}/results"))
    }

    /// Waits until a request has this status, and returns the status.
    pub async fn until_status(&self, id: &str, wanted: &str) -> Value {
        until_some(&format!("{id} is {wanted}"), || async {
            let status = self.status(id).await.json();
            (status["status"] == wanted).then_some(status)
        })
        .await
    }

    /// Whether `/readyz` reports ready.
    pub async fn ready(&self) -> bool {
        let answer = self.call(Method::GET, "/readyz").send().await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
    }
}

//! The collector that takes the traces.

use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use runtime::{TracesConfig, Wrong};
use secrecy::ExposeSecret as _;

/// The setting with the headers.
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
/// The media type of OTLP in protobuf.
const PROTOBUF: &str = "application/x-protobuf";
/// How much of an answer is read.
const ANSWER_MAX_BYTES: usize = 64 * 1024;

/// What the collector did with a post.
#[derive(Debug, PartialEq, Eq)]
pub enum Posted {
    /// It took all of it.
    Taken,
    /// It took the post and left out so many spans.
    InPart(i64, String),
    /// It does not want this post, and never will.
    Refused(String),
    /// It did not take the post now. It may say when to try again.
    Later(String, Option<Duration>),
}

/// A collector.
pub struct Collector {
    client: Client,
    url: Url,
}

impl Collector {
    /// The collector that the settings name.
    pub fn new(config: &TracesConfig) -> Result<Self, Wrong> {
        let wrong = |reason: String| Wrong::new("OTEL_EXPORTER_OTLP_ENDPOINT", reason);
        let url = config.endpoint()?;
        let url = url.ok_or_else(|| wrong("it is not set, and this role posts traces".into()))?;
        let mut client = Client::builder()
            .default_headers(headers(config)?)
            .timeout(config.otel_exporter_otlp_timeout)
            // A redirect would carry the headers to a host that nobody configured, and so would a
            // proxy of the environment.
            .redirect(Policy::none())
            .no_proxy();
        if url.scheme() == "http" {
            // No certificate is checked, so a system without certificates is no obstacle.
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|error| wrong(error.to_string()))?;
        Ok(Self { client, url })
    }

    /// Posts some traces.
    pub async fn post(&self, body: Bytes) -> Posted {
        let sent = self.client.post(self.url.clone()).body(body).send().await;
        match sent {
            Ok(answer) if answer.status().is_success() => taken(answer).await,
            Ok(answer) => not_taken(&answer),
            Err(error) => Posted::Later(reason(error), None),
        }
    }
}

fn headers(config: &TracesConfig) -> Result<HeaderMap, Wrong> {
    let mut headers = HeaderMap::new();
    let agent = concat!("fanfold/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    for (name, value) in config.headers()? {
        let wrong = |what: &str| Wrong::new(HEADERS, format!("{name} is no {what} of a header"));
        let parsed = HeaderName::try_from(&name).map_err(|_| wrong("name"))?;
        let value = HeaderValue::from_str(value.expose_secret());
        let mut value = value.map_err(|_| wrong("value"))?;
        value.set_sensitive(true);
        headers.insert(parsed, value);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
    Ok(headers)
}

/// Looks whether the collector left out some spans. An answer that cannot be read says nothing.
async fn taken(mut answer: Response) -> Posted {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_MAX_BYTES {
            return Posted::Taken;
        }
    }
    let said = ExportTraceServiceResponse::decode(&*body).unwrap_or_default();
    match said.partial_success {
        Some(part) if part.rejected_spans > 0 => {
            Posted::InPart(part.rejected_spans, part.error_message)
        }
        _ => Posted::Taken,
    }
}

fn not_taken(answer: &Response) -> Posted {
    let status = answer.status();
    let reason = format!("it answered {status}");
    match status {
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => Posted::Refused(reason),
        // Everything else passes, or is a fault of the configuration, which somebody will mend.
        _ => {
            let after = answer.headers().get(RETRY_AFTER);
            let seconds = after.and_then(|after| after.to_str().ok()?.trim().parse().ok());
            Posted::Later(reason, seconds.map(Duration::from_secs))
        }
    }
}

/// Why a post did not arrive, without the URL, which may have credentials.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut said = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        said = format!("{said}: {cause}");
        source = cause.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
    use runtime::Settings;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Posts to a collector that answers with these bytes, or is silent where there are none.
    async fn posted(answer: Vec<u8>) -> Posted {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let set = |name: &str| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(url.clone()),
            "OTEL_EXPORTER_OTLP_TIMEOUT" => Some("300ms".to_owned()),
            _ => None,
        };
        let config = Settings::load(None, set, |_| None).unwrap().traces;
        crate::check(&config).unwrap();
        let collector = Collector::new(&config).unwrap();
        let answering = async {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let _ = connection.read(&mut request).await.unwrap();
            connection.write_all(&answer).await.unwrap();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            posted = collector.post(Bytes::from_static(b"x")) => posted,
            () = answering => unreachable!("it waits forever"),
        }
    }

    fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n");
        [head.as_bytes(), body].concat()
    }

    #[tokio::test]
    async fn the_status_says_whether_a_post_is_repeated() {
        assert_eq!(posted(answer("200 OK", "", b"")).await, Posted::Taken);
        for status in ["400 No", "413 No", "422 No"] {
            let refused = posted(answer(status, "", b"")).await;
            assert!(matches!(refused, Posted::Refused(_)), "{refused:?}");
        }
        for status in ["307 No", "401 No", "404 No", "429 No", "500 No", "503 No"] {
            let headers = "location: http://127.0.0.1:9/\r\nretry-after: 7\r\n";
            let later = posted(answer(status, headers, b"")).await;
            let seven = Some(Duration::from_secs(7));
            assert!(
                matches!(&later, Posted::Later(_, after) if *after == seven),
                "{later:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_collector_that_is_silent_is_left_after_the_timeout() {
        let silent = posted(Vec::new()).await;
        assert!(matches!(silent, Posted::Later(_, None)), "{silent:?}");
    }

    #[tokio::test]
    async fn spans_that_the_collector_left_out_are_told() {
        let said = ExportTraceServiceResponse {
            partial_success: Some(ExportTracePartialSuccess {
                rejected_spans: 3,
                error_message: "too old".into(),
            }),
        };
        let part = posted(answer("200 OK", "", &said.encode_to_vec())).await;
        assert_eq!(part, Posted::InPart(3, "too old".into()));
        // An answer that cannot be read says nothing.
        assert_eq!(posted(answer("200 OK", "", b"{}")).await, Posted::Taken);
    }
}

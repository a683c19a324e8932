//! Buckets of the allow-list, over plain HTTPS: a GET, signed where there are credentials.

use std::sync::OnceLock;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use runtime::Aws;

use super::sign::Credentials;
use super::{Bounds, FetchError, body};

/// The characters of a key that the signature requires unescaped.
const KEY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The S3 endpoint. The operator configured it, so its address needs no check.
pub struct Store {
    /// Made when a document first refers to a bucket: a system may have no certificates.
    client: OnceLock<Client>,
    endpoint: Url,
    region: String,
    credentials: Option<Credentials>,
}

impl Store {
    pub fn new(endpoint: &str, aws: &Aws) -> Result<Self, String> {
        let region = aws.region.clone();
        let endpoint = match endpoint {
            "" => format!("https://s3.{region}.amazonaws.com"),
            endpoint => endpoint.to_owned(),
        };
        let endpoint = Url::parse(&endpoint).map_err(|error| error.to_string())?;
        if !matches!(endpoint.scheme(), "https" | "http") || endpoint.path() != "/" {
            return Err("https://host[:port] is expected".into());
        }
        Ok(Self {
            client: OnceLock::new(),
            endpoint,
            region,
            credentials: Credentials::of(aws),
        })
    }

    fn client(&self) -> Result<&Client, FetchError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let mut client = Client::builder().redirect(Policy::none()).no_proxy();
        if self.endpoint.scheme() == "http" {
            client = client.tls_certs_only([]);
        }
        let client = client
            .build()
            .map_err(|error| FetchError::of_client(&error))?;
        Ok(self.client.get_or_init(|| client))
    }

    pub async fn get(
        &self,
        bucket: &str,
        key: &str,
        bounds: Bounds,
    ) -> Result<Vec<u8>, FetchError> {
        let path = format!("/{bucket}/{}", utf8_percent_encode(key, KEY));
        let mut url = self.endpoint.clone();
        url.set_path(&path);
        let mut request = self.client()?.get(url).timeout(bounds.time);
        if let Some(credentials) = &self.credentials {
            let port = self.endpoint.port().map(|port| format!(":{port}"));
            let host = self.endpoint.host_str().unwrap_or_default();
            let host = format!("{host}{}", port.unwrap_or_default());
            let signed = credentials.sign(&self.region, &host, &path, Timestamp::now(), &[]);
            for (name, value) in signed {
                request = request.header(name, value);
            }
        }
        let sent = request.send().await;
        let response = sent.map_err(|error| FetchError::of_exchange(&error))?;
        body::read(response, bounds.bytes).await
    }
}

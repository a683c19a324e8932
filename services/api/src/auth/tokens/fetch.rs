//! Fetching the issuer's keys.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;
use runtime::{CallersConfig, shown_urls};
use serde::Deserialize;

use super::set::IssuerKeys;

/// The largest answer that is read.
const ANSWER_MAX_BYTES: usize = 1024 * 1024;

/// The issuer of tokens.
pub(super) struct Issuer {
    name: String,
    /// Where its keys are; empty where the issuer says.
    keys_url: String,
    client: OnceLock<Client>,
}

/// What an issuer says of itself (`OpenID` Connect Discovery).
#[derive(Deserialize)]
struct About {
    issuer: String,
    jwks_uri: String,
}

impl Issuer {
    pub fn new(config: &CallersConfig) -> Self {
        Self {
            name: config.auth_issuer.clone(),
            keys_url: config.auth_jwks_url.clone(),
            client: OnceLock::new(),
        }
    }

    /// The name that tokens have in `iss`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Fetches the keys. Their URL was checked when the settings were read.
    pub async fn fetch(&self, limit: Duration) -> Result<IssuerKeys, String> {
        let fetching = async {
            let url = if self.keys_url.is_empty() {
                self.discover().await?
            } else {
                self.keys_url.clone()
            };
            let answer = self.get(&url).await?;
            let shown = shown_urls(&url);
            let keys = IssuerKeys::parse(&answer).map_err(|error| format!("{shown}: {error}"))?;
            if keys.is_empty() {
                return Err(format!("{shown}: no key in it can be used"));
            }
            Ok(keys)
        };
        let fetched = tokio::time::timeout(limit, fetching).await;
        fetched.unwrap_or_else(|_| Err(format!("no answer within {limit:?}")))
    }

    async fn discover(&self) -> Result<String, String> {
        let base = self.name.trim_end_matches('/');
        let url = format!("{base}/.well-known/openid-configuration");
        let answer = self.get(&url).await?;
        let about: Result<About, _> = serde_json::from_slice(&answer);
        let shown = shown_urls(&url);
        let about = about.map_err(|error| format!("{shown}: {error}"))?;
        if about.issuer != self.name {
            return Err(format!("{shown} is of the issuer {:?}", about.issuer));
        }
        if about.jwks_uri.starts_with("https://") || self.name.starts_with("http://") {
            return Ok(about.jwks_uri);
        }
        Err(format!("{shown} names keys that are not at https"))
    }

    async fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        let shown = shown_urls(url);
        let unanswered = |error: reqwest::Error| format!("{shown}: {}", error.without_url());
        let answer = self.client()?.get(url).send().await.map_err(unanswered)?;
        let mut answer = answer.error_for_status().map_err(unanswered)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unanswered)? {
            if bytes.len() + chunk.len() > ANSWER_MAX_BYTES {
                return Err(format!("{shown}: the answer is too large"));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// A client that follows no redirect: an answer elsewhere is not the issuer's.
    fn client(&self) -> Result<&Client, String> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // Where a provider is installed, it is the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder().redirect(Policy::none()).no_proxy();
        if self.name.starts_with("http://") {
            // A loopback issuer needs no certificates, and a system may have none.
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|error| error.to_string())?;
        Ok(self.client.get_or_init(|| client))
    }
}

//! Fetching the resources that documents refer to. Only URIs that the operator allows may be
//! fetched. The author of a document never decides which machine is contacted or which file is
//! read.

mod allow;
mod body;
mod error;
mod file;
mod https;
mod s3;
mod sign;
#[cfg(test)]
mod tests;

use std::time::Duration;

use runtime::{Settings, SettingsError};

pub use allow::{Allowed, Target};
pub use error::FetchError;

/// Fetches URIs that are on the allow-list.
pub struct Fetcher {
    allowed: Allowed,
    bounds: Bounds,
    s3: s3::Store,
    https: https::Hosts,
}

/// The limits on one fetch.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How long a fetch may take, from name resolution to the last byte.
    pub time: Duration,
    /// The most bytes, before and after decompression.
    pub bytes: usize,
}

impl Fetcher {
    /// A fetcher with the allow-list and limits of the settings.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        // The first call chooses the provider for the whole process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let bounds = Bounds {
            time: settings.href_timeout,
            bytes: settings.href_max_bytes,
        };
        let allowed = Allowed::parse(&settings.href_allow, settings.href_plain_http)
            .map_err(|reason| settings.wrong("HREF_ALLOW", reason))?;
        let s3 = s3::Store::new(settings).map_err(|e| settings.wrong("S3_ENDPOINT", e))?;
        Ok(Self {
            allowed,
            bounds,
            s3,
            https: https::Hosts::new(settings.href_private_addresses),
        })
    }

    /// The bytes at a URI.
    pub async fn fetch(&self, uri: &str) -> Result<Vec<u8>, FetchError> {
        let target = self.allowed.target(uri)?;
        let fetched = tokio::time::timeout(self.bounds.time, self.target(target)).await;
        fetched.unwrap_or_else(|_| {
            let limit = self.bounds.time.as_millis();
            Err(FetchError::Transient(format!("it took over {limit} ms")))
        })
    }

    async fn target(&self, target: Target) -> Result<Vec<u8>, FetchError> {
        match target {
            Target::File(paths) => file::read(paths, self.bounds.bytes).await,
            Target::Object { bucket, key } => self.s3.get(&bucket, &key, self.bounds).await,
            Target::Url(url) => self.https.get(url, self.bounds).await,
        }
    }
}

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

use runtime::{Aws, ReferencesConfig, Wrong};

pub use allow::{Allowed, Target};
pub use error::FetchError;

/// Fetches URIs that are on the allow-list.
pub struct Fetcher {
    allowed: Allowed,
    bounds: Bounds,
    s3: s3::Store,
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
    pub fn new(config: &ReferencesConfig, aws: &Aws) -> Result<Self, Wrong> {
        // The first call chooses the provider for the whole process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let bounds = Bounds {
            time: config.href_timeout,
            bytes: config.href_max_bytes,
        };
        let allowed = Allowed::parse(&config.href_allow)
            .map_err(|reason| Wrong::new("HREF_ALLOW", reason))?;
        let s3 = s3::Store::new(&config.s3_endpoint, aws)
            .map_err(|reason| Wrong::new("S3_ENDPOINT", reason))?;
        Ok(Self {
            allowed,
            bounds,
            s3,
        })
    }

    /// The name under which fetches from the host of a URI share places.
    pub fn host(&self, uri: &str) -> Result<String, FetchError> {
        Ok(match self.allowed.target(uri)? {
            Target::File(_) => "file".into(),
            Target::Object { .. } => "s3".into(),
            Target::Url { url, .. } => url.authority().into(),
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
            Target::Url { url, private } => https::get(url, private, self.bounds).await,
        }
    }
}

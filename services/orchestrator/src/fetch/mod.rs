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

use std::collections::HashMap;
use std::time::Duration;

use domain::access::Tenant;
use runtime::{Aws, ReferencesConfig, Tenants, Wrong};

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

/// The fetchers of all tenants. A tenant reaches what its entry in the file allows. Without an
/// entry, it reaches nothing: `HREF_ALLOW` is for the tenant `default` alone.
pub struct Fetchers {
    default: Fetcher,
    named: HashMap<Tenant, Fetcher>,
    nothing: Fetcher,
}

impl Fetchers {
    /// The fetchers of the settings and the file.
    pub fn new(config: &ReferencesConfig, aws: &Aws, tenants: &Tenants) -> Result<Self, Wrong> {
        let mut named = HashMap::new();
        for (tenant, own) in tenants.named() {
            let (endpoint, aws) = match &own.s3 {
                Some((endpoint, aws)) => (endpoint, aws),
                None => (&config.s3_endpoint, aws),
            };
            let fetcher = Fetcher::allowing(&own.href_allow, endpoint, config, aws);
            let wrong = |wrong: Wrong| {
                let reason = format!("tenants {tenant}: {}", wrong.reason);
                Wrong::new(wrong.name, reason)
            };
            named.insert(tenant.clone(), fetcher.map_err(wrong)?);
        }
        Ok(Self {
            default: Fetcher::new(config, aws)?,
            named,
            nothing: Fetcher::allowing("", &config.s3_endpoint, config, aws)?,
        })
    }

    /// The fetcher of a tenant.
    pub fn of(&self, tenant: &Tenant) -> &Fetcher {
        if tenant.is_default() {
            return &self.default;
        }
        self.named.get(tenant).unwrap_or(&self.nothing)
    }
}

impl Fetcher {
    /// A fetcher with the allow-list and limits of the settings.
    pub fn new(config: &ReferencesConfig, aws: &Aws) -> Result<Self, Wrong> {
        Self::allowing(&config.href_allow, &config.s3_endpoint, config, aws)
    }

    fn allowing(
        list: &str,
        endpoint: &str,
        config: &ReferencesConfig,
        aws: &Aws,
    ) -> Result<Self, Wrong> {
        // The first call chooses the provider for the whole process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let bounds = Bounds {
            time: config.href_timeout,
            bytes: config.href_max_bytes,
        };
        let allowed = Allowed::parse(list).map_err(|reason| Wrong::new("HREF_ALLOW", reason))?;
        let s3 =
            s3::Store::new(endpoint, aws).map_err(|reason| Wrong::new("S3_ENDPOINT", reason))?;
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

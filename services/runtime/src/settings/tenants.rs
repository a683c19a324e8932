//! The tenants: the quotas of all, and what the file says of each. A tenant needs no entry in the
//! file to have requests.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use domain::access::Tenant;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, de};

use super::aws::Aws;
use super::value::{Bytes, Setting};

/// How much of the shared capacity a tenant gets, compared with others that want more.
const WEIGHT: NonZeroU32 = NonZeroU32::MIN;

/// What a tenant may use at most. What is not set is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Quotas {
    /// Submissions and redrives in a second, on average, at each instance of the API.
    pub submissions_per_second: Option<NonZeroU32>,
    /// Submissions and redrives at once, after a pause. Unset: those of a second.
    pub submissions_burst: Option<NonZeroU32>,
    /// Bytes of documents that are arriving or on their way into the log.
    #[serde(deserialize_with = "bytes")]
    pub bytes_under_way: Option<usize>,
    /// Requests that have not ended.
    pub open_requests: Option<usize>,
    /// Groups of a document.
    pub groups: Option<usize>,
    /// Valuations of a document.
    pub tasks: Option<usize>,
    /// Callers that wait for an answer.
    pub waiters: Option<usize>,
    /// Event streams.
    pub streams: Option<usize>,
    /// Webhooks under way, at each instance of the role.
    pub webhooks: Option<usize>,
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    let value = toml::Value::deserialize(deserializer)?;
    let text = match value {
        toml::Value::String(text) => text,
        other => other.to_string(),
    };
    let bytes: Result<Bytes, _> = text.parse();
    let bytes = bytes.and_then(Setting::<usize>::into_field);
    bytes.map(Some).map_err(de::Error::custom)
}

impl Quotas {
    /// These quotas, with those of `general` where they are not set.
    #[must_use]
    fn over(self, general: Self) -> Self {
        Self {
            submissions_per_second: self
                .submissions_per_second
                .or(general.submissions_per_second),
            submissions_burst: self.submissions_burst.or(general.submissions_burst),
            bytes_under_way: self.bytes_under_way.or(general.bytes_under_way),
            open_requests: self.open_requests.or(general.open_requests),
            groups: self.groups.or(general.groups),
            tasks: self.tasks.or(general.tasks),
            waiters: self.waiters.or(general.waiters),
            streams: self.streams.or(general.streams),
            webhooks: self.webhooks.or(general.webhooks),
        }
    }

    /// Whether nothing is limited.
    #[must_use]
    pub fn are_off(&self) -> bool {
        *self == Self::default()
    }
}

/// What the file says of a tenant.
#[derive(Clone, Debug)]
pub struct TenantConfig {
    /// The weight of its share where several tenants want more than there is.
    pub weight: NonZeroU32,
    /// The places that its documents may refer to, as in `HREF_ALLOW`.
    pub href_allow: String,
    /// The endpoint and the credentials of its buckets. Unset: those of all.
    pub s3: Option<(String, Aws)>,
    /// The task types that its valuations may have, besides `default`. Unset: all of them.
    pub task_types: Option<Vec<String>>,
    /// The webhook URL of requests that name none.
    pub webhook_url: SecretString,
    /// The key that signs its webhooks. Unset: it gets none.
    pub webhook_secret: Option<SecretString>,
    quotas: Quotas,
}

/// The tenants of the file.
#[derive(Clone, Debug, Default)]
pub struct Tenants {
    quotas: Quotas,
    named: BTreeMap<Tenant, TenantConfig>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    name: Tenant,
    weight: Option<NonZeroU32>,
    #[serde(default)]
    href_allow: String,
    s3: Option<S3>,
    task_types: Option<Vec<String>>,
    #[serde(default)]
    webhook_url: String,
    webhook_secret: Option<String>,
    webhook_secret_file: Option<String>,
    #[serde(default)]
    quotas: Quotas,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct S3 {
    #[serde(default)]
    endpoint: String,
    region: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    secret_access_key_file: Option<String>,
}

impl Tenants {
    /// Reads `[quotas]` and `[[tenants]]` of the file.
    pub(super) fn read(
        quotas: Option<toml::Value>,
        tenants: Option<toml::Value>,
        general: &Aws,
    ) -> Result<Self, String> {
        let quotas: Option<Quotas> = quotas.map(|value| parsed("quotas", value)).transpose()?;
        let entries: Option<Vec<Entry>> =
            tenants.map(|value| parsed("tenants", value)).transpose()?;
        let mut named = BTreeMap::new();
        for entry in entries.unwrap_or_default() {
            let name = entry.name.clone();
            let of = |reason| format!("tenants {name}: {reason}");
            let config = TenantConfig::read(entry, general).map_err(of)?;
            if named.insert(name.clone(), config).is_some() {
                return Err(of("there are two of this name".to_owned()));
            }
        }
        Ok(Self {
            quotas: quotas.unwrap_or_default(),
            named,
        })
    }

    /// The quotas of a tenant.
    #[must_use]
    pub fn quotas(&self, tenant: &Tenant) -> Quotas {
        let own = self.named.get(tenant).map(|config| config.quotas);
        own.unwrap_or_default().over(self.quotas)
    }

    /// Whether any tenant has a quota that this function takes.
    pub fn any_quota(&self, is: impl Fn(&Quotas) -> bool) -> bool {
        let own = self.named.values().map(|config| &config.quotas);
        std::iter::once(&self.quotas).chain(own).any(is)
    }

    /// The weight of a tenant's share.
    #[must_use]
    pub fn weight(&self, tenant: &Tenant) -> NonZeroU32 {
        self.named
            .get(tenant)
            .map_or(WEIGHT, |config| config.weight)
    }

    /// What the file says of a tenant.
    #[must_use]
    pub fn get(&self, tenant: &Tenant) -> Option<&TenantConfig> {
        self.named.get(tenant)
    }

    /// The tenants of the file, without `default`, which has the settings of all.
    pub fn named(&self) -> impl Iterator<Item = (&Tenant, &TenantConfig)> {
        self.named.iter().filter(|(name, _)| !name.is_default())
    }

    /// Whether any tenant but `default` has a key for webhooks.
    #[must_use]
    pub fn sign_webhooks(&self) -> bool {
        let mut named = self.named();
        named.any(|(_, config)| config.webhook_secret.is_some())
    }
}

impl TenantConfig {
    fn read(entry: Entry, general: &Aws) -> Result<Self, String> {
        let is_default = entry.name.is_default();
        let own = !entry.href_allow.is_empty()
            || entry.s3.is_some()
            || !entry.webhook_url.is_empty()
            || entry.webhook_secret.is_some()
            || entry.webhook_secret_file.is_some();
        if is_default && own {
            let reason = "its references and webhooks are HREF_ALLOW, S3_ENDPOINT, WEBHOOK_URL and \
                          WEBHOOK_SECRET";
            return Err(reason.to_owned());
        }
        Ok(Self {
            weight: entry.weight.unwrap_or(WEIGHT),
            href_allow: entry.href_allow,
            s3: entry.s3.map(|s3| s3.read(general)).transpose()?,
            task_types: entry.task_types,
            webhook_url: entry.webhook_url.into(),
            webhook_secret: secret(
                "webhook-secret",
                entry.webhook_secret,
                entry.webhook_secret_file,
            )?,
            quotas: entry.quotas,
        })
    }
}

impl S3 {
    fn read(self, general: &Aws) -> Result<(String, Aws), String> {
        let key = secret(
            "secret-access-key",
            self.secret_access_key,
            self.secret_access_key_file,
        )?;
        let aws = Aws {
            region: self.region.unwrap_or_else(|| general.region.clone()),
            access_key_id: self.access_key_id,
            secret_access_key: key.unwrap_or_default(),
            session_token: None,
        };
        Ok((self.endpoint, aws))
    }
}

/// A secret that is in the file itself, or in a file that it names.
fn secret(
    name: &str,
    value: Option<String>,
    file: Option<String>,
) -> Result<Option<SecretString>, String> {
    match (value, file) {
        (Some(_), Some(_)) => Err(format!("set {name} or {name}-file, not both")),
        (Some(value), None) => Ok(Some(value.into())),
        (None, None) => Ok(None),
        (None, Some(path)) => {
            let read = std::fs::read_to_string(&path);
            let text = read.map_err(|error| format!("{name}-file: {path}: {error}"))?;
            Ok(Some(text.trim_end_matches(['\r', '\n']).into()))
        }
    }
}

/// Reads a part of the file. The error names the part, and no value, which may be a secret.
fn parsed<T: de::DeserializeOwned>(part: &str, value: toml::Value) -> Result<T, String> {
    let parsed: Result<T, toml::de::Error> = value.try_into();
    parsed.map_err(|error| format!("{part}: {}", error.message()))
}

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
const NAME_MAX_BYTES: usize = 63;
/// The name that means the whole deployment in a grant.
pub(super) const SYSTEM: &str = "system";
/// The name of the tenant to which every request belongs where nobody uses tenants.
const DEFAULT: &str = "default";

/// A customer or a team whose requests are apart from those of others. Where nobody uses tenants,
/// every request belongs to the tenant `default`, whose name is in no event and no subject.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tenant(Option<Arc<str>>);

/// The error for a text that is not the name of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tenant is named by 1 to 63 lower-case letters, digits and dashes, and not \"system\"")]
pub struct InvalidTenant;

impl Tenant {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or(DEFAULT)
    }

    /// The name, unless it is `default`.
    #[must_use]
    pub fn named(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Whether this is the tenant `default`.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Tenant {
    type Err = InvalidTenant;

    fn from_str(name: &str) -> Result<Self, InvalidTenant> {
        let is_usual = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let fits = (1..=NAME_MAX_BYTES).contains(&name.len());
        if !fits || name == SYSTEM || !name.chars().all(is_usual) {
            return Err(InvalidTenant);
        }
        Ok(Self((name != DEFAULT).then(|| name.into())))
    }
}

impl TryFrom<String> for Tenant {
    type Error = InvalidTenant;

    fn try_from(name: String) -> Result<Self, InvalidTenant> {
        name.parse()
    }
}

impl From<Tenant> for String {
    fn from(tenant: Tenant) -> Self {
        tenant.as_str().to_owned()
    }
}

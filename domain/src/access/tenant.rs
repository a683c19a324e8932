use std::fmt;
use std::str::FromStr;

/// The longest name, in bytes.
const NAME_MAX_BYTES: usize = 63;
/// The name that means the whole deployment in a grant.
pub(super) const SYSTEM: &str = "system";

/// A customer or a team whose requests are apart from those of others. Today every request belongs
/// to the tenant `default`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(Box<str>);

/// The error for a text that is not the name of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tenant is named by 1 to 63 lower-case letters, digits and dashes, and not \"system\"")]
pub struct InvalidTenant;

impl Default for Tenant {
    fn default() -> Self {
        Self("default".into())
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
        Ok(Self(name.into()))
    }
}

use std::fmt;
use std::str::FromStr;

use super::tenant::SYSTEM;
use super::{Role, Tenant};

/// A role in a tenant, or in the whole deployment: `default:read`, `system:admin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The tenant; `None` for the whole deployment.
    pub tenant: Option<Tenant>,
    /// The role.
    pub role: Role,
}

/// The error for a text that is not a grant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a grant: write tenant:role, such as default:submit or system:admin; the roles are submit, read, operate and admin"
)]
pub struct InvalidGrant(String);

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tenant {
            Some(tenant) => write!(f, "{tenant}:{}", self.role),
            None => write!(f, "{SYSTEM}:{}", self.role),
        }
    }
}

impl FromStr for Grant {
    type Err = InvalidGrant;

    fn from_str(text: &str) -> Result<Self, InvalidGrant> {
        let invalid = || InvalidGrant(text.chars().take(100).collect());
        let (tenant, role) = text.split_once(':').ok_or_else(invalid)?;
        let role = role.parse().map_err(|()| invalid())?;
        let tenant = match tenant {
            SYSTEM => None,
            tenant => Some(tenant.parse().map_err(|_| invalid())?),
        };
        Ok(Self { tenant, role })
    }
}

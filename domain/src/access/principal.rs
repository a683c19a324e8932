use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::{Grant, Role, Roles, Tenant};

/// The longest name of a subject, in bytes.
const SUBJECT_MAX_BYTES: usize = 255;

/// The name of a person or a program that calls: what the log records as `submitter` and `by`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(Box<str>);

/// The error for a text that cannot name a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a subject has 1 to 255 characters without spaces around them and control characters")]
pub struct InvalidSubject;

impl Subject {
    /// The name of callers whom nobody tells apart. No credential has it.
    pub const ANONYMOUS: &str = "anonymous";

    /// The subject of callers whom nobody tells apart.
    #[must_use]
    pub fn anonymous() -> Self {
        Self(Self::ANONYMOUS.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Subject {
    type Err = InvalidSubject;

    fn from_str(name: &str) -> Result<Self, InvalidSubject> {
        let fits = (1..=SUBJECT_MAX_BYTES).contains(&name.len());
        if !fits || name.trim() != name || name.chars().any(char::is_control) {
            return Err(InvalidSubject);
        }
        Ok(Self(name.into()))
    }
}

/// Who calls, with the roles that the caller has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    subject: Subject,
    grants: BTreeMap<Tenant, Roles>,
    system: Roles,
}

impl Principal {
    /// A subject with these grants.
    #[must_use]
    pub fn new(subject: Subject, granted: impl IntoIterator<Item = Grant>) -> Self {
        let mut grants: BTreeMap<Tenant, Roles> = BTreeMap::new();
        let mut system = Roles::NONE;
        for Grant { tenant, role } in granted {
            let roles = match tenant {
                Some(tenant) => grants.entry(tenant).or_default(),
                None => &mut system,
            };
            *roles = roles.with(role);
        }
        Self {
            subject,
            grants,
            system,
        }
    }

    /// A subject that may do everything: the operator of the machine, and every caller where
    /// callers are not told apart.
    #[must_use]
    pub fn admin(subject: Subject) -> Self {
        let everything = Grant {
            tenant: None,
            role: Role::Admin,
        };
        Self::new(subject, [everything])
    }

    /// The name of the caller.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The tenants in which the caller has roles.
    pub fn tenants(&self) -> impl Iterator<Item = &Tenant> {
        self.grants.keys()
    }

    /// The roles that count for an action on this tenant, or on the deployment itself.
    pub(super) fn roles(&self, on: Option<&Tenant>) -> Roles {
        let own = on.and_then(|tenant| self.grants.get(tenant));
        self.system.and(own.copied().unwrap_or_default())
    }
}

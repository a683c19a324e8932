use std::fmt;
use std::str::FromStr;

/// A role that a caller can have in a tenant, or in the whole deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Submit documents, and read the requests that this subject submitted.
    Submit,
    /// Read everything.
    Read,
    /// Read everything, cancel, redrive and discard.
    Operate,
    /// Do everything.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Submit, Self::Read, Self::Operate, Self::Admin];

    /// The role as a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }

    /// Whether whoever has this role may do what the other role is needed for.
    #[must_use]
    pub const fn includes(self, other: Self) -> bool {
        match self {
            Self::Admin => true,
            Self::Operate => matches!(other, Self::Operate | Self::Read),
            Self::Read => matches!(other, Self::Read),
            Self::Submit => matches!(other, Self::Submit),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        let found = Self::ALL.into_iter().find(|role| role.name() == word);
        found.ok_or(())
    }
}

/// A set of roles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    /// No role.
    pub const NONE: Self = Self(0);

    /// These roles and one more.
    #[must_use]
    pub const fn with(self, role: Role) -> Self {
        Self(self.0 | 1 << role as u8)
    }

    /// The roles of both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether one of the roles includes the needed one.
    #[must_use]
    pub fn include(self, needed: Role) -> bool {
        let has = |role: &Role| self.0 & 1 << *role as u8 != 0;
        let mut own = Role::ALL.into_iter().filter(has);
        own.any(|role| role.includes(needed))
    }
}

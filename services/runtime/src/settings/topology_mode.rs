//! Whether a role creates what it needs at the broker.

use std::fmt;
use std::str::FromStr;

use super::value::{Setting, Unusable};

/// Whether a role creates streams and consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopologyMode {
    /// It creates those that are missing.
    Apply,
    /// It only checks them.
    Check,
}

impl FromStr for TopologyMode {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        match text {
            "apply" => Ok(Self::Apply),
            "check" => Ok(Self::Check),
            _ => Err(Unusable::new("expected apply or check")),
        }
    }
}

impl Setting<Self> for TopologyMode {
    fn into_field(self) -> Result<Self, Unusable> {
        Ok(self)
    }
}

impl fmt::Display for TopologyMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Apply => "apply",
            Self::Check => "check",
        })
    }
}

//! The credentials for `s3://` objects. They have the names that every AWS tool reads, so they are
//! read from the environment only and are no settings of Fanfold's own.

use std::fmt;

/// The region where `AWS_REGION` is not set.
const DEFAULT_REGION: &str = "us-east-1";

/// The AWS variables of the environment.
#[derive(Clone, PartialEq, Eq)]
pub struct Aws {
    /// `AWS_REGION`, the region of the buckets.
    pub region: String,
    /// `AWS_ACCESS_KEY_ID`. Without it, requests are not signed.
    pub access_key_id: Option<String>,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: String,
    /// `AWS_SESSION_TOKEN`, for temporary credentials.
    pub session_token: Option<String>,
}

impl Aws {
    /// The names of the variables, each with its meaning and whether its value is secret.
    pub const VARIABLES: [(&'static str, &'static str, bool); 4] = [
        (
            "AWS_REGION",
            "Region of `s3://` buckets [us-east-1].",
            false,
        ),
        (
            "AWS_ACCESS_KEY_ID",
            "Access key for `s3://` objects. Unset: requests are not signed.",
            false,
        ),
        (
            "AWS_SECRET_ACCESS_KEY",
            "Secret of `AWS_ACCESS_KEY_ID`.",
            true,
        ),
        (
            "AWS_SESSION_TOKEN",
            "Session token of `AWS_ACCESS_KEY_ID`.",
            true,
        ),
    ];

    pub(super) fn read(environment: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| environment(name).filter(|value| !value.is_empty());
        Self {
            region: set("AWS_REGION").unwrap_or_else(|| DEFAULT_REGION.to_owned()),
            access_key_id: set("AWS_ACCESS_KEY_ID"),
            secret_access_key: set("AWS_SECRET_ACCESS_KEY").unwrap_or_default(),
            session_token: set("AWS_SESSION_TOKEN"),
        }
    }

    /// The value of a variable; empty where it is not set.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        match name {
            "AWS_REGION" => &self.region,
            "AWS_ACCESS_KEY_ID" => self.access_key_id.as_deref().unwrap_or_default(),
            "AWS_SECRET_ACCESS_KEY" => &self.secret_access_key,
            "AWS_SESSION_TOKEN" => self.session_token.as_deref().unwrap_or_default(),
            _ => "",
        }
    }
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The secrets stay out of logs.
        f.debug_struct("Aws")
            .field("region", &self.region)
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

//! The credentials for `s3://` objects. They have the names that every AWS tool reads, so they are
//! read from the environment only and are no settings of Fanfold's own.

use secrecy::SecretString;

use super::error::SettingsError;
use super::secret::{MASK, of_environment};

/// The region where `AWS_REGION` is not set.
const DEFAULT_REGION: &str = "us-east-1";

/// The AWS variables of the environment.
#[derive(Clone, Debug)]
pub struct Aws {
    /// `AWS_REGION`, the region of the buckets.
    pub region: String,
    /// `AWS_ACCESS_KEY_ID`. Without it, requests are not signed.
    pub access_key_id: Option<String>,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: SecretString,
    /// `AWS_SESSION_TOKEN`, for temporary credentials.
    pub session_token: Option<SecretString>,
}

impl Aws {
    /// The names of the variables, each with its meaning.
    pub const VARIABLES: [(&'static str, &'static str); 4] = [
        ("AWS_REGION", "Region of `s3://` buckets [us-east-1]."),
        (
            "AWS_ACCESS_KEY_ID",
            "Access key for `s3://` objects. Unset: requests are not signed.",
        ),
        ("AWS_SECRET_ACCESS_KEY", "Secret of `AWS_ACCESS_KEY_ID`."),
        ("AWS_SESSION_TOKEN", "Session token of `AWS_ACCESS_KEY_ID`."),
    ];

    pub(super) fn read(
        environment: impl Fn(&str) -> Option<String> + Copy,
    ) -> Result<Self, SettingsError> {
        let set = |name: &str| environment(name).filter(|value| !value.is_empty());
        let secret = |name| of_environment(name, set);
        Ok(Self {
            region: set("AWS_REGION").unwrap_or_else(|| DEFAULT_REGION.to_owned()),
            access_key_id: set("AWS_ACCESS_KEY_ID"),
            secret_access_key: secret("AWS_SECRET_ACCESS_KEY")?.unwrap_or_default(),
            session_token: secret("AWS_SESSION_TOKEN")?,
        })
    }

    /// What may be shown of the value of a variable; empty where it is not set.
    #[must_use]
    pub fn shown(&self, name: &str) -> &str {
        use secrecy::ExposeSecret as _;
        let masked = |is_set: bool| if is_set { MASK } else { "" };
        match name {
            "AWS_REGION" => &self.region,
            "AWS_ACCESS_KEY_ID" => self.access_key_id.as_deref().unwrap_or_default(),
            "AWS_SECRET_ACCESS_KEY" => masked(!self.secret_access_key.expose_secret().is_empty()),
            "AWS_SESSION_TOKEN" => masked(self.session_token.is_some()),
            _ => "",
        }
    }
}

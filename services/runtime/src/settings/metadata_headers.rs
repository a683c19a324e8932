//! The headers of a submission that Fanfold keeps with the request.

use std::fmt;
use std::str::FromStr;

use super::value::{Setting, Unusable};

/// Headers that are known to carry credentials, or what a proxy says about a caller. They are meant
/// for a proxy in front of the API. Everyone who may read a request sees the metadata that it keeps.
const CREDENTIALS: [&str; 6] = [
    "x-amzn-oidc-data",
    "x-client-cert",
    "x-csrf",
    "x-forwarded-client-cert",
    "x-ssl-client-cert",
    "x-ms-client-principal",
];
/// Parts of names that headers with credentials have.
const CREDENTIAL_PARTS: [&str; 13] = [
    "accesskey",
    "api-key",
    "apikey",
    "assertion",
    "auth",
    "cookie",
    "credential",
    "jwt",
    "passw",
    "private-key",
    "secret",
    "session",
    "token",
];

/// Names of `x-*` headers. A name that ends with `*` stands for all that begin so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataHeaders(Vec<String>);

impl MetadataHeaders {
    /// Whether a header with this name, in lower case, is kept. Known credentials never are.
    #[must_use]
    pub fn keep(&self, name: &str) -> bool {
        let is_listed = |entry: &String| match entry.strip_suffix('*') {
            Some(begin) => name.starts_with(begin),
            None => entry == name,
        };
        !is_credential(name) && self.0.iter().any(is_listed)
    }
}

fn is_credential(name: &str) -> bool {
    CREDENTIALS.contains(&name) || CREDENTIAL_PARTS.iter().any(|part| name.contains(part))
}

impl FromStr for MetadataHeaders {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        let names = text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        let names: Vec<String> = names.map(str::to_ascii_lowercase).collect();
        for name in &names {
            let plain = name.strip_suffix('*').unwrap_or(name);
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if !plain.starts_with("x-") || !plain.chars().all(is_name) {
                return Err(Unusable::new(format!(
                    "'{name}' is not the name of an x-* header, or the beginning of one and *"
                )));
            }
            if is_credential(plain) {
                let reason = format!("'{name}' carries credentials, which are never kept");
                return Err(Unusable::new(reason));
            }
        }
        Ok(Self(names))
    }
}

impl fmt::Display for MetadataHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

impl Setting<Self> for MetadataHeaders {
    fn into_field(self) -> Result<Self, Unusable> {
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_headers_are_kept_and_no_list_opens_credentials() {
        let all: MetadataHeaders = "x-*".parse().unwrap();
        let some: MetadataHeaders = "X-Desk, x-label-*".parse().unwrap();
        for (name, of_all, of_some) in [
            ("x-desk", true, true),
            ("x-label-book", true, true),
            ("x-trader", true, false),
            ("x-api-key", false, false),
            ("x-auth-token", false, false),
            ("x-label-session-id", false, false),
            ("x-goog-iap-jwt-assertion", false, false),
            ("x-forwarded-client-cert", false, false),
            ("x-amz-security-token", false, false),
            ("x-csrf-token", false, false),
        ] {
            assert_eq!(
                (all.keep(name), some.keep(name)),
                (of_all, of_some),
                "{name}"
            );
        }
    }

    #[test]
    fn a_list_with_credentials_or_other_headers_is_refused() {
        for (list, reason) in [
            ("x-desk,authorization", "is not the name"),
            ("*", "is not the name"),
            ("x-api-key", "never kept"),
            ("x-auth*", "never kept"),
        ] {
            let refused = list.parse::<MetadataHeaders>().unwrap_err().to_string();
            assert!(refused.contains(reason), "{list}: {refused}");
        }
    }
}

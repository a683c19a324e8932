//! The rules between the settings about callers.

use super::auth_mode::AuthMode;
use super::error::Wrong;
use super::table::CallersConfig;

impl CallersConfig {
    /// Whether callers must prove who they are.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.has_keys() || self.has_issuer()
    }

    /// Whether callers may prove who they are with a key, or with a certificate that the keys file
    /// names.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        !self.auth_keys_file.is_empty()
    }

    /// Whether callers may prove who they are with a JWT.
    #[must_use]
    pub fn has_issuer(&self) -> bool {
        !self.auth_issuer.is_empty()
    }

    /// Whether the operator said in so many words that callers need not prove anything.
    #[must_use]
    pub fn is_waived(&self) -> bool {
        self.auth == AuthMode::None
    }

    /// The names besides those of loopback that callers may use for this server, in lower case.
    pub fn hosts(&self) -> impl Iterator<Item = String> {
        let names = self.allowed_hosts.split(',').map(str::trim);
        let names = names.filter(|name| !name.is_empty());
        names.map(str::to_ascii_lowercase)
    }

    /// Refuses settings that contradict or lack each other.
    pub(super) fn check(&self) -> Result<(), Wrong> {
        if self.is_waived() && self.is_on() {
            let reason = "callers prove who they are with AUTH_KEYS_FILE or AUTH_ISSUER: unset one \
                          or the other";
            return Err(Wrong::new("AUTH", reason));
        }
        let needs_issuer = [
            ("AUTH_JWKS_URL", &self.auth_jwks_url),
            ("AUTH_AUDIENCE", &self.auth_audience),
        ];
        for (name, value) in needs_issuer {
            if !value.is_empty() && !self.has_issuer() {
                return Err(Wrong::new(name, "it says nothing without AUTH_ISSUER"));
            }
        }
        if self.has_issuer() && self.auth_audience.is_empty() {
            let reason = "it is needed with AUTH_ISSUER: a token for another service is none here";
            return Err(Wrong::new("AUTH_AUDIENCE", reason));
        }
        for (name, text) in [
            ("AUTH_ISSUER", &self.auth_issuer),
            ("AUTH_JWKS_URL", &self.auth_jwks_url),
        ] {
            super::refuse_userinfo(name, text)?;
            if !text.is_empty() && !is_trustworthy(text) {
                let reason = "expected an https:// URL; http:// only on a loopback address";
                return Err(Wrong::new(name, reason));
            }
        }
        if !self.hosts().all(|name| is_host(&name)) {
            return Err(Wrong::new(
                "ALLOWED_HOSTS",
                "expected names such as fanfold.example.com, without a port",
            ));
        }
        Ok(())
    }
}

/// Whether this can be the host of a call: a name or an address, without a port.
fn is_host(name: &str) -> bool {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let inside = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let is_address = |text: &str| text.parse::<std::net::Ipv6Addr>().is_ok();
    is_address(inside.unwrap_or(name)) || name.chars().all(is_of_name)
}

/// Whether nobody on the way can change what comes from this URL.
fn is_trustworthy(text: &str) -> bool {
    let Ok(url) = url::Url::parse(text) else {
        return false;
    };
    let is_loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    url.scheme() == "https" || url.scheme() == "http" && is_loopback
}

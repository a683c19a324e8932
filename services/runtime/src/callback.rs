//! The URLs that a callback may have: public ones only, unless the operator allows more. The checks
//! here need no name resolution, so the API applies them at submission and the sender before the
//! call.

use std::net::IpAddr;

use url::{Host, Url};

use crate::is_public;

/// Parses the URL of a callback, or says why it can never be called.
pub fn callback(text: &str, allow_private: bool) -> Result<Url, &'static str> {
    // The parser skips white space, which would merge the URLs of two headers into one.
    if text.contains(char::is_whitespace) {
        return Err("it has white space in it");
    }
    let url: Url = text.parse().map_err(|_| "it cannot be read")?;
    let scheme = url.scheme();
    if scheme != "https" && !(scheme == "http" && allow_private) {
        return Err("it must be https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it has a user or a password");
    }
    if url.port() == Some(0) {
        return Err("nobody listens on port 0");
    }
    let is_inside = match url.host() {
        None => return Err("it has no host"),
        Some(Host::Domain(name)) if is_nowhere(name) => return Err("there is no such host"),
        Some(Host::Domain(name)) => is_local(name),
        Some(Host::Ipv4(address)) => !is_public(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => !is_public(IpAddr::V6(address)),
    };
    if is_inside && !allow_private {
        return Err("it leads to no public address");
    }
    Ok(url)
}

/// Whether a name always means this machine (RFC 6761, section 6.3).
fn is_local(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

/// Whether a name can never have a host (RFC 6761, section 6.4).
fn is_nowhere(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "invalid" || name.ends_with(".invalid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_is_https_to_a_public_address() {
        for (url, why) in [
            ("", "it cannot be read"),
            ("x", "it cannot be read"),
            (
                "https://a.example/, https://b.example/",
                "it has white space in it",
            ),
            ("https://", "it cannot be read"),
            ("http://example.com/", "it must be https"),
            ("ftp://1.1.1.1/", "it must be https"),
            ("mailto:a@example.com", "it must be https"),
            ("https://u:p@1.1.1.1/", "it has a user or a password"),
            ("https://u@example.com/", "it has a user or a password"),
            ("https://example.com:0/", "nobody listens on port 0"),
            ("https://a.invalid./", "there is no such host"),
            ("https://127.0.0.1/", "it leads to no public address"),
            ("https://0x7f000001/", "it leads to no public address"),
            ("https://2130706433/", "it leads to no public address"),
            ("https://[::1]/", "it leads to no public address"),
            (
                "https://[::ffff:10.0.0.1]/",
                "it leads to no public address",
            ),
            ("https://169.254.169.254/", "it leads to no public address"),
            ("https://LOCALHOST:8443/", "it leads to no public address"),
            ("https://a.localhost./", "it leads to no public address"),
        ] {
            assert_eq!(callback(url, false), Err(why), "{url}");
        }
        for url in [
            "https://example.com:8443/a?b=c",
            "https://1.1.1.1/",
            "https://[2606:4700::1111]/",
        ] {
            assert!(callback(url, false).is_ok(), "{url}");
        }
    }

    #[test]
    fn an_operator_may_allow_internal_callbacks() {
        for url in [
            "http://127.0.0.1:8/",
            "https://10.0.0.1/",
            "http://localhost/",
        ] {
            assert!(callback(url, true).is_ok(), "{url}");
        }
        assert_eq!(callback("ftp://a/", true), Err("it must be https"));
        assert_eq!(
            callback("http://u@a/", true),
            Err("it has a user or a password")
        );
    }
}

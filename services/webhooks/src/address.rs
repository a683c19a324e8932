//! The addresses that a callback may use: public ones only, unless the operator allows more.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Url;
use runtime::is_public;

/// How long the look-up of a name may take.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a webhook is not delivered to a URL.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refused {
    /// The URL can never be delivered to.
    #[error("{0} is no URL that may be called: {1}")]
    Url(String, &'static str),
    /// The name of the host could not be resolved now.
    #[error("{0} cannot be looked up: {1}")]
    Lookup(String, String),
}

/// Parses a URL and resolves its host to the addresses that may be used. The caller connects to
/// these very addresses, so that the check holds for the connection.
pub async fn resolve(text: &str, allow_private: bool) -> Result<(Url, Vec<SocketAddr>), Refused> {
    let refused = |why| Refused::Url(text.to_owned(), why);
    let url = runtime::callback(text, allow_private).map_err(refused)?;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(refused("it has no host"));
    };
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let failed = |reason: String| Refused::Lookup(name.to_owned(), reason);
    let looking = tokio::net::lookup_host((name, port));
    let found = tokio::time::timeout(LOOKUP_TIMEOUT, looking).await;
    let found = found.map_err(|_| failed(format!("no answer within {LOOKUP_TIMEOUT:?}")))?;
    let found = found.map_err(|error| failed(error.to_string()))?;
    let addresses: Vec<SocketAddr> = found
        .filter(|address| allow_private || is_public(address.ip()))
        .collect();
    if addresses.is_empty() {
        return Err(refused("it leads to no public address"));
    }
    Ok((url, addresses))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn callbacks_to_internal_addresses_are_refused() {
        for url in [
            "http://example.com/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://localhost/",
            "https://u:p@1.1.1.1/",
            "ftp://1.1.1.1/",
            "x",
            "https://0x7f000001/",
            "https://2130706433/",
        ] {
            assert!(
                matches!(resolve(url, false).await, Err(Refused::Url(..))),
                "{url}"
            );
        }
        let (_, addresses) = resolve("https://1.1.1.1/", false).await.unwrap();
        assert_eq!(addresses, ["1.1.1.1:443".parse().unwrap()]);
        assert!(resolve("http://127.0.0.1:8/", true).await.is_ok());
    }
}

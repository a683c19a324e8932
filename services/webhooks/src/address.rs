//! Where a callback may lead: nowhere inside, unless the operator says so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;

/// Why nothing is delivered to a URL.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refused {
    /// It can never be delivered to.
    #[error("{0} is no URL that may be called: {1}")]
    Url(String, &'static str),
    /// Its name could not be looked up now.
    #[error("{0} cannot be looked up: {1}")]
    Lookup(String, String),
}

/// A URL, and the addresses that its name has now and that may be connected to: the check is of
/// the very address that is used.
pub async fn resolve(text: &str, allow_private: bool) -> Result<(Url, Vec<SocketAddr>), Refused> {
    let refused = |why| Refused::Url(text.to_owned(), why);
    let url: Url = text.parse().map_err(|_| refused("it cannot be read"))?;
    let scheme = url.scheme();
    if scheme != "https" && !(scheme == "http" && allow_private) {
        return Err(refused("it must be https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("it has a user or a password"));
    }
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(refused("it has no host"));
    };
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let found = tokio::net::lookup_host((name, port)).await;
    let found = found.map_err(|e| Refused::Lookup(name.to_owned(), e.to_string()))?;
    let addresses: Vec<SocketAddr> = found
        .filter(|address| allow_private || is_public(address.ip()))
        .collect();
    if addresses.is_empty() {
        return Err(refused("it leads to no public address"));
    }
    Ok((url, addresses))
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => address
            .to_ipv4_mapped()
            .map_or_else(|| is_public_v6(address), is_public_v4),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    let inside = address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_unspecified()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast();
    // This network, carriers' own, and those that are for tests or for later.
    let special =
        a == 0 || (a == 100 && (64..128).contains(&b)) || (a == 198 && b / 2 == 9) || a >= 240;
    !inside && !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Only 2000::/3 is routed, and in it the tunnels (6to4, Teredo) lead to IPv4 addresses.
    let [first, second, ..] = address.segments();
    first & 0xe000 == 0x2000
        && first != 0x2002
        && (first, second) != (0x2001, 0)
        && (first, second) != (0x2001, 0x0db8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "255.255.255.255",
            "224.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "2002:7f00:1::",
            "198.18.0.1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for outside in [
            "1.1.1.1",
            "100.128.0.1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
        ] {
            assert!(is_public(outside.parse().unwrap()), "{outside}");
        }
    }

    #[tokio::test]
    async fn callbacks_that_lead_inside_are_refused() {
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

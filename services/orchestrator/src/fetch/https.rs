//! Fetching from the hosts of the allow-list.

use std::net::SocketAddr;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};

use super::allow::literal;
use super::{Bounds, FetchError, body};

/// Sends a GET request over its own connection to a checked address. With `private` the host may be
/// on the operator's own network.
pub async fn get(url: Url, private: bool, bounds: Bounds) -> Result<Vec<u8>, FetchError> {
    let address = resolve(&url, private).await?;
    let client = client(&url, address, bounds)?;
    let sent = client.get(url).send().await;
    let response = sent.map_err(|error| FetchError::of_exchange(&error))?;
    body::read(response, bounds.bytes).await
}

/// The one address to connect to. All addresses of the name must be allowed: a name that mixes
/// public and private addresses is suspicious.
async fn resolve(url: &Url, private: bool) -> Result<SocketAddr, FetchError> {
    let port = url.port_or_known_default().unwrap_or(443);
    let host = url.host_str().unwrap_or_default();
    let addresses: Vec<SocketAddr> = if let Some(literal) = literal(url) {
        vec![SocketAddr::new(literal, port)]
    } else {
        let found = tokio::net::lookup_host((host, port)).await;
        let unknown = |error| FetchError::Transient(format!("{host}: {error}"));
        found.map_err(unknown)?.collect()
    };
    let barred = addresses.iter().find(|a| !runtime::is_public(a.ip()));
    if let (Some(barred), false) = (barred, private) {
        // The caller learns nothing about the operator's network.
        tracing::warn!(host, address = %barred.ip(), "a reference was refused");
        let reason = format!(
            "{host} has an address that is not public: its entry in HREF_ALLOW needs private: in front"
        );
        return Err(FetchError::NotAllowed(reason));
    }
    let nowhere = || FetchError::Transient(format!("{host} has no address"));
    addresses.first().copied().ok_or_else(nowhere)
}

/// A client that can reach the host only at this address.
fn client(url: &Url, address: SocketAddr, bounds: Bounds) -> Result<Client, FetchError> {
    let host = url.host_str().unwrap_or_default();
    let mut client = Client::builder()
        .resolve(host, address)
        .redirect(Policy::none())
        .no_proxy()
        .timeout(bounds.time)
        .pool_max_idle_per_host(0);
    if url.scheme() == "http" {
        // Plain HTTP never checks a certificate, so a system without certificates can still use it.
        client = client.tls_certs_only([]);
    }
    client
        .build()
        .map_err(|error| FetchError::of_client(&error))
}

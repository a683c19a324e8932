//! The names of this server, and the pages that may call it. A browser sends the calls of any page
//! to any server that it reaches, one on loopback too.

use std::collections::HashSet;
use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use runtime::CallersConfig;

use super::refusal::Refusal;

/// How much of a foreign name an answer repeats.
const SHOWN_MAX_CHARS: usize = 100;

/// The names under which callers may reach the listeners.
pub(super) struct Sites {
    /// The names besides those of loopback, in lower case.
    allowed: HashSet<String>,
    /// Whether a call must name one of them.
    checks_host: bool,
    /// Whether an address will do as well. No name leads to it, so no page of another site has it
    /// in its address line.
    takes_addresses: bool,
}

impl Sites {
    /// The names that these settings allow. Callers who prove nothing must use one of them: a page
    /// whose name leads to this machine would otherwise pass for a page of this server (DNS
    /// rebinding).
    pub fn new(config: &CallersConfig) -> Self {
        let allowed: HashSet<String> = config.hosts().collect();
        Self {
            checks_host: !config.is_on() || !allowed.is_empty(),
            takes_addresses: config.is_waived(),
            allowed,
        }
    }

    /// Whether this is the name of this server. Browsers always send a name.
    fn is_own(&self, host: &str) -> bool {
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        let address = name.trim_start_matches('[').trim_end_matches(']');
        let is_own_address = address.parse().is_ok_and(|ip: IpAddr| {
            // An address with a mapped one inside leads to the same machine.
            self.takes_addresses || ip.to_canonical().is_loopback()
        });
        is_own_address || name == "localhost" || self.allowed.contains(&name)
    }

    /// Refuses a call that names another server.
    pub fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        if !self.checks_host {
            return Ok(());
        }
        let named = uri.authority().map(Authority::host).into_iter();
        let hosts = headers.get_all(header::HOST).iter();
        let hosts = hosts.map(|host| host_of(host.to_str().unwrap_or("?")));
        for host in named.chain(hosts) {
            if !host.is_empty() && !self.is_own(host) {
                let shown = host.chars().take(SHOWN_MAX_CHARS).collect();
                return Err(Refusal::ForeignHost(shown));
            }
        }
        Ok(())
    }

    /// Refuses the call of a page of another site, as the browser describes it.
    pub fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let site = only(headers, "sec-fetch-site")?;
        let is_own = |site: &HeaderValue| matches!(site.as_bytes(), b"same-origin" | b"none");
        if site.is_some_and(|site| !is_own(site)) {
            return Err(Refusal::ForeignSite);
        }
        let Some(origin) = only(headers, "origin")? else {
            return Ok(());
        };
        let origin = origin.to_str().unwrap_or_default();
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        let own = headers.get(header::HOST).and_then(|own| own.to_str().ok());
        let is_same = authority.is_some() && authority == own;
        // A proxy in front may send a Host of its own.
        let is_listed = authority.is_some_and(|authority| {
            let name = host_of(authority).to_ascii_lowercase();
            self.allowed.contains(&name)
        });
        if is_same || is_listed {
            Ok(())
        } else {
            Err(Refusal::ForeignSite)
        }
    }
}

/// The value of a header. A browser sends it once, so of two values one is not the browser's.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h HeaderValue>, Refusal> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (_, Some(_)) => Err(Refusal::ForeignSite),
        (value, None) => Ok(value),
    }
}

/// The host of an authority, without its port.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

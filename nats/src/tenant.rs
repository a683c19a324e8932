//! The header that names the tenant of a message's request. The log, the queue of tasks and the
//! dead letters use one header, and an event of the feed has an attribute. A message without either
//! belongs to the tenant `default`.

use std::collections::BTreeMap;

use async_nats::{HeaderMap, HeaderName};
use domain::access::Tenant;

pub(crate) const TENANT: HeaderName = HeaderName::from_static("Fanfold-Tenant");
pub(crate) const CE_TENANT: HeaderName = HeaderName::from_static("ce-tenant");

pub(crate) fn insert(headers: &mut HeaderMap, header: HeaderName, tenant: &Tenant) {
    if let Some(name) = tenant.named() {
        headers.insert(header, name);
    }
}

/// Reads the header. An invalid name, which Fanfold never writes, is as good as none.
pub(crate) fn of(headers: Option<&HeaderMap>) -> Tenant {
    let named = |header| headers.and_then(|headers| headers.get(header));
    let name = named(TENANT).or_else(|| named(CE_TENANT));
    name.and_then(|name| name.as_str().parse().ok())
        .unwrap_or_default()
}

/// Reads the header of a message whose headers are kept as text.
pub(crate) fn named(headers: &BTreeMap<String, String>) -> Tenant {
    let mut names = headers.iter().filter(|(header, _)| {
        [TENANT, CE_TENANT]
            .iter()
            .any(|known| header.eq_ignore_ascii_case(known.as_ref()))
    });
    let name = names.next().and_then(|(_, name)| name.parse().ok());
    name.unwrap_or_default()
}
